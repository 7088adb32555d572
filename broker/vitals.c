/* SPDX-License-Identifier: MIT */
#include "vitals.h"

#include "channel.h"
#include "clock.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void vitals_init(struct vitals *vitals, int ready)
{
	*vitals = (struct vitals){.ready = ready};
	notify_init(&vitals->notify);
}

/* As s6 and others wait for it: a line feed, and then the end. */
static void tell_descriptor(struct vitals *vitals)
{
	struct pollfd room = {.fd = vitals->ready, .events = POLLOUT};

	if (vitals->ready < 0)
		return;
	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		report_failure("--ready-fd", -EAGAIN);
	else if (write(vitals->ready, "\n", 1) != 1)
		report_failure("--ready-fd", -errno);
	close(vitals->ready);
	vitals->ready = -1;
}

void vitals_ready(struct vitals *vitals, const char *summary)
{
	heartbeat_start(&vitals->heartbeat, 2 * vitals->notify.watchdog, clock_ms());
	tell_descriptor(vitals);
	notify_ready(&vitals->notify, summary);
}

void vitals_reloading(struct vitals *vitals)
{
	notify_reloading(&vitals->notify);
}

void vitals_goes_on(struct vitals *vitals, const char *summary)
{
	notify_ready(&vitals->notify, summary);
}

void vitals_interrupted(struct vitals *vitals)
{
	/* Once, however many die before one is ready. */
	if (heartbeat_wait(&vitals->heartbeat, 0) < 0)
		return;
	heartbeat_stop(&vitals->heartbeat);
	notify_status(&vitals->notify, "The worker is gone; another one is being started");
}

void vitals_stopping(struct vitals *vitals)
{
	heartbeat_stop(&vitals->heartbeat);
	notify_stopping(&vitals->notify);
}

static int ask_worker(struct vitals *vitals, int channel)
{
	struct channel_message message = {.type = CHANNEL_PING, .descriptor = -1};

	switch (heartbeat_turn(&vitals->heartbeat, clock_ms())) {
	case HEARTBEAT_NONE:
		return 0;
	case HEARTBEAT_LATE:
		return -ETIMEDOUT;
	case HEARTBEAT_ASK:
		break;
	}
	int error = channel_send(channel, &message);
	if (!error)
		heartbeat_asked(&vitals->heartbeat);
	return error == -EAGAIN ? 0 : error;
}

int vitals_turn(struct vitals *vitals, int channel, int *wait)
{
	int error = channel >= 0 ? ask_worker(vitals, channel) : 0;
	int sign = notify_turn(&vitals->notify, channel >= 0 && !error);
	int beat = channel >= 0 ? heartbeat_wait(&vitals->heartbeat, clock_ms()) : -1;

	*wait = sign < 0 || (beat >= 0 && beat < sign) ? beat : sign;
	return error;
}

bool vitals_answered(struct vitals *vitals)
{
	return heartbeat_answered(&vitals->heartbeat, clock_ms());
}

void vitals_transfer(struct vitals *vitals, struct state *state)
{
	struct heartbeat *heartbeat = &vitals->heartbeat;
	struct notify *notify = &vitals->notify;

	state_descriptor(state, &vitals->ready);
	state_integer(state, heartbeat->pause);
	state_integer(state, heartbeat->patience);
	state_integer(state, heartbeat->due);
	state_integer(state, heartbeat->since);
	state_integer(state, heartbeat->asked);
	state_integer(state, notify->reported);
	state_integer(state, notify->waiting);
	if (notify->waiting > sizeof(notify->text)) {
		state->error = -EPROTO;
		notify->waiting = 0;
	}
	for (size_t i = 0; i < notify->waiting; i++)
		state_integer(state, notify->text[i]);
}

void vitals_close(struct vitals *vitals)
{
	notify_close(&vitals->notify);
	if (vitals->ready >= 0)
		close(vitals->ready);
	vitals->ready = -1;
}
