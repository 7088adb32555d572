/* SPDX-License-Identifier: MIT */
#include "inotify.h"

#include "questions.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

/* How it is watched, besides for what. */
#define MANNERS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_ONESHOT)

static int ask_maker(const struct resolver *resolver, uint32_t mask, int object, int32_t *watch)
{
	struct channel_message message = {
		.type = CHANNEL_NOTIFY,
		.index = resolver->number,
		.attributes = mask,
		.endpoint.time = QUESTIONS_TIME,
		.descriptor = resolver->client,
		.object = object,
	};
	int error = questions_ask(resolver->questions, &message, QUESTIONS_TIME);

	if (error)
		return error;
	*watch = (int32_t)message.index;
	if (message.error)
		return -message.error;
	return message.descriptor >= 0 ? message.descriptor : -EPROTO;
}

int inotify_watch(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, int32_t *watch, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	uint32_t mask = (uint32_t)request->flags;
	int error = resolve_start(
		&resolution, resolver, peer->caller, request->path, request->path_length, outcome);

	if (!error && (request->mode || request->flags & ~(uint64_t)(IN_ALL_EVENTS | MANNERS) ||
			      !(mask & IN_ALL_EVENTS))) {
		outcome->reason = "events or flags that are not served, none at all, or a mode";
		error = -EINVAL;
	}
	if (error)
		return error;
	int object = resolve_open(&resolution, POLICY_WATCH,
		O_PATH | (mask & IN_ONLYDIR ? O_DIRECTORY : 0) |
			(mask & IN_DONT_FOLLOW ? O_NOFOLLOW : 0),
		&decision);
	if (object < 0)
		return object;
	int made = -EINPROGRESS;
	/* It is a matter of a process: more than an event thread has time for. */
	if (resolver->patience != PATIENCE_NONE)
		/*
		 * What to follow has been followed, and the object is known by its descriptor, a link of the
		 * kernel's.
		 */
		made = ask_maker(
			resolver, mask & ~(uint32_t)(IN_DONT_FOLLOW | IN_ONLYDIR), object, watch);
	close(object);
	return resolve_error(&resolution, made);
}
