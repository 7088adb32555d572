/* SPDX-License-Identifier: MIT */
#include "supervisor-parts.h"

#include "channel.h"
#include "sealed.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms without accepting after the worker has given one back. */
#define BACK_PAUSE 100

/* 0, or a negative errno where no worker says that. */
static int take_reload(struct supervisor *supervisor, const struct channel_message *message)
{
	uid_t uid;

	/* Not only the worker's word counts for who may. */
	if (!clients_uid(supervisor->clients, message->index, &uid) ||
		(uid != 0 && uid != geteuid()))
		return -EPROTO;
	if (reloads_ask(&supervisor->reloads, message->index, message->id))
		return 0; /* without memory he waits until another worker says that it was lost */
	clients_expect(supervisor->clients, message->index, message->id);
	succession_reload(supervisor);
	succession_give(supervisor);
	return 0;
}

static int hear_serving(struct supervisor *supervisor, struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_CLOSED:
		reloads_forget(&supervisor->reloads, message->index);
		return clients_drop(supervisor->clients, message->index) ? 0 : -EPROTO;
	case CHANNEL_BACK:
		supervisor->pause = clock_ms() + BACK_PAUSE;
		return clients_back(supervisor->clients, message->index) ? 0 : -EPROTO;
	case CHANNEL_RELOAD:
		return take_reload(supervisor, message);
	case CHANNEL_PONG:
		return supervisor->stopping || vitals_answered(&supervisor->vitals) ? 0 : -EPROTO;
	}
	return -EPROTO;
}

static int hear_coming(struct supervisor *supervisor, struct channel_message *message)
{
	struct crew *coming = &supervisor->coming;

	switch (coming->ready ? 0 : message->type) {
	case CHANNEL_REPORT:
		crew_report(coming, message->text);
		return 0;
	case CHANNEL_READY:
		/* It is kept, and not looked into. */
		if (sealed_length(message->descriptor, CHANNEL_SNAPSHOT_MAX) < 0)
			return -EPROTO;
		coming->snapshot = message->descriptor;
		message->descriptor = -1;
		coming->ready = true;
		crew_watch(coming, (pid_t)message->index);
		snprintf(coming->summary, sizeof(coming->summary), "%.255s", message->text);
		succession_take_over(supervisor);
		return 0;
	}
	return -EPROTO;
}

/* All that is there, of a worker that says much not for ever. */
static void hear(struct supervisor *supervisor, struct crew *crew,
	int (*take)(struct supervisor *supervisor, struct channel_message *message))
{
	int channel = crew->channel;

	for (int i = 0; i < 256 && crew->channel == channel && channel >= 0; i++) {
		struct channel_message message = {.descriptor = -1};
		int got = channel_receive(channel, &message);
		if (got == -EAGAIN)
			return;
		bool proper = got == 1 &&
			      (message.descriptor < 0 || message.type == CHANNEL_READY) &&
			      !take(supervisor, &message);
		if (message.descriptor >= 0)
			close(message.descriptor);
		if (message.object > 0)
			close(message.object);
		/* It is gone, or says what no worker says. */
		if (!proper) {
			crew_kill(crew);
			return;
		}
	}
}

void hearing_serving(struct supervisor *supervisor)
{
	hear(supervisor, &supervisor->serving, hear_serving);
}

void hearing_coming(struct supervisor *supervisor)
{
	hear(supervisor, &supervisor->coming, hear_coming);
}

void hearing_reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (crew_ended(&supervisor->serving, pid))
			succession_serving_ended(
				supervisor, pid, status, "the worker died and is replaced");
		else if (crew_ended(&supervisor->coming, pid))
			succession_coming_ended(supervisor, pid, status);
		else if (pid == supervisor->trial)
			renewal_tried(supervisor, status);
	}
}

void hearing_bury(struct supervisor *supervisor)
{
	supervisor->burial = 0;
	if (crew_is_dead(&supervisor->serving))
		succession_lose_serving(
			supervisor, "the worker died, but for what hangs, and is replaced");
}
