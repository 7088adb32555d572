/* SPDX-License-Identifier: MIT */
/*
 * views-serving.c: what opens beneath views.
 */
#include "views-table.h"

#include "questions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The number of the view, or NONE. */
static uint32_t find(const struct views *views, uint32_t directory, uint32_t attributes)
{
	uint32_t number;

	if (directory >= views->directory_count || attributes >= VIEW_KINDS)
		return NONE;
	number = views->kinds[directory][attributes];
	if (number == NONE)
		number = views->kinds[directory][attributes & ~(uint32_t)VIEW_EXEC];
	return number;
}

/* Whether using the view would take more than `patience`, with the lock. */
static bool takes_more(const struct view *view, enum patience patience)
{
	if (patience == PATIENCE_NONE && view->stale)
		return true;
	return patience != PATIENCE_ALL && !view->stale && view->shown && !view->prompt;
}

/*
 * The view of that number, or that of the caller by it, made where that is needed and `patience` allows for it, with
 * the lock. NULL with a negative errno.
 */
static struct view *reach(struct views *views, uint32_t number, const struct policy_caller *caller,
	gid_t gid, enum patience patience, int *error)
{
	for (;;) {
		struct view *view = &views->list[number];
		*error = 0;
		if (view->template)
			view = callers_find(
				views, number, caller, gid, patience != PATIENCE_NONE, error);
		if (!*error && (!view || takes_more(view, patience)))
			*error = -EINPROGRESS;
		if (*error || !view->stale)
			return *error ? NULL : view;
		*error = view_freshen(views, view, patience);
		if (*error == 0 && takes_more(view, patience))
			*error = -EINPROGRESS;
		if (*error <= 0)
			return *error ? NULL : view;
	}
}

/* The same, held. 0 or a negative errno. */
static int hold_view(struct views *views, uint32_t number, const struct policy_caller *caller,
	gid_t gid, enum patience patience, struct views_hold *hold)
{
	int error;

	pthread_mutex_lock(&views->mutex);
	struct view *view = reach(views, number, caller, gid, patience, &error);
	if (view && view->shown) {
		hold->shown = view->shown;
		hold->shown->holders++;
	} else if (view) {
		error = view->error;
	}
	pthread_mutex_unlock(&views->mutex);
	return error;
}

int views_get(struct views *views, uint32_t directory, uint32_t attributes,
	const struct policy_caller *caller, enum patience patience, struct views_hold *hold)
{
	uint32_t number = find(views, directory, attributes);

	hold->shown = NULL;
	if (number == NONE)
		return -EACCES;
	int error = hold_view(views, number, caller, 0, patience, hold);
	return error ? error : hold->shown->descriptor;
}

void views_let_go(struct views_hold *hold)
{
	shown_let_go(hold->shown);
	hold->shown = NULL;
}

bool views_fold(const struct views_hold *hold)
{
	return hold->shown && hold->shown->folds;
}

size_t views_prefix(
	const struct views *views, uint32_t directory, const struct policy_caller *caller)
{
	return views->directories[directory].variables ? policy_directory_length(caller, directory)
						       : views->anchors[directory].length;
}

/*
 * Asks for a view that is for this caller alone. The maker makes one of each number at a time, and says ETIMEDOUT to
 * whoever asks meanwhile: so one caller waits here for the other. 0 or a negative errno.
 */
static int ask_mapped(struct views *views, struct view *view, const struct policy_caller *caller,
	gid_t gid, struct channel_message *message)
{
	int error = -ETIMEDOUT;

	pthread_mutex_lock(&views->mutex);
	while (view->asked)
		pthread_cond_wait(&views->made, &views->mutex);
	if (!view_is_hung(view)) {
		view->asked = true;
		pthread_mutex_unlock(&views->mutex);
		error = view_ask(
			views, view, CHANNEL_RENEW, policy_caller_uid(caller), gid, message);
		if (!error)
			error = -message->error;
		pthread_mutex_lock(&views->mutex);
		view_set_hung(view, error == -ETIMEDOUT);
		view->asked = false;
		pthread_cond_broadcast(&views->made);
	}
	pthread_mutex_unlock(&views->mutex);
	return error;
}

/* A view that nobody else ever gets to see. 0 or a negative errno. */
static int hold_mapped(struct views *views, struct view *view, const struct policy_caller *caller,
	gid_t gid, struct views_hold *hold)
{
	struct channel_message message;
	int error = ask_mapped(views, view, caller, gid, &message);

	if (error)
		return error;
	/* The directory itself, in the place of a view. */
	if (message.attributes & VIEW_PLAIN) {
		views->plain = true;
		close(message.descriptor);
		return -EPERM;
	}
	hold->shown = malloc(sizeof(*hold->shown));
	if (!hold->shown) {
		close(message.descriptor);
		return -ENOMEM;
	}
	*hold->shown = (struct shown){.holders = 1, .descriptor = message.descriptor};
	return 0;
}

int views_open_tree(struct views *views, uint32_t tree, bool writable,
	const struct policy_caller *caller, gid_t gid, enum patience patience)
{
	uint32_t number = tree < views->tree_count ? views->trees[tree][writable] : NONE;
	struct view *view = number == NONE ? NULL : &views->list[number];
	struct views_hold hold = {NULL};
	int error;

	if (!view)
		return -EACCES;
	/* The directory itself would let its holder walk out of it. */
	if (views->plain)
		return -EPERM;
	if (view->template || !view_is_mapped(view))
		error = hold_view(views, number, caller, gid, patience, &hold);
	else if (patience == PATIENCE_NONE)
		error = -EINPROGRESS;
	else
		error = hold_mapped(views, view, caller, gid, &hold);
	/* Making it may have told. */
	if (!error && views->plain) {
		views_let_go(&hold);
		error = -EPERM;
	}
	if (error)
		return error;
	/* A description of its own: the position in a directory is not to be shared. */
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
	int directory = (int)syscall(SYS_openat2, hold.shown->descriptor, ".", &how, sizeof(how));
	error = directory < 0 ? -errno : 0;
	views_let_go(&hold);
	return error ? error : directory;
}

int views_open_device(struct views *views, uint32_t directory, uint32_t attributes,
	const struct policy_caller *caller, const char *relative, int flags)
{
	uint32_t number = find(views, directory, attributes);
	struct channel_message message = {.type = CHANNEL_DEVICE, .descriptor = -1};

	if (number == NONE)
		return -EACCES;
	if (views->plain)
		return -EPERM;
	if (strlen(relative) > CHANNEL_TEXT_MAX)
		return -ENAMETOOLONG;
	message.index = number;
	message.uid = policy_caller_uid(caller);
	message.attributes = (uint32_t)flags;
	strcpy(message.text, relative);
	int error = questions_ask(views->questions, &message, QUESTIONS_TIME);
	if (error)
		return error;
	return message.error ? -message.error : message.descriptor;
}
