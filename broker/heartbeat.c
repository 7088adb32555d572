/* SPDX-License-Identifier: MIT */
#include "heartbeat.h"

/* ms until a question for which the channel had no room is sent again. */
#define AGAIN 100

void heartbeat_start(struct heartbeat *heartbeat, int64_t watchdog, int64_t now)
{
	*heartbeat = (struct heartbeat){.pause = HEARTBEAT_PAUSE, .patience = HEARTBEAT_PATIENCE};
	if (watchdog && watchdog / 2 < heartbeat->pause)
		heartbeat->pause = watchdog / 2 + 1;
	if (watchdog && watchdog < heartbeat->patience)
		heartbeat->patience = watchdog;
	heartbeat->due = now + heartbeat->pause;
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
	heartbeat->due = heartbeat->since = 0;
}

enum heartbeat_act heartbeat_turn(struct heartbeat *heartbeat, int64_t now)
{
	if (!heartbeat->due)
		return HEARTBEAT_NONE;
	if (!heartbeat->since && heartbeat->due <= now) {
		heartbeat->since = now;
		heartbeat->asked = false;
	}
	if (!heartbeat->since)
		return HEARTBEAT_NONE;
	if (now - heartbeat->since >= heartbeat->patience)
		return HEARTBEAT_LATE;
	return heartbeat->asked ? HEARTBEAT_NONE : HEARTBEAT_ASK;
}

void heartbeat_asked(struct heartbeat *heartbeat)
{
	heartbeat->asked = true;
}

bool heartbeat_answered(struct heartbeat *heartbeat, int64_t now)
{
	if (!heartbeat->since || !heartbeat->asked)
		return false;
	heartbeat->since = 0;
	heartbeat->due = now + heartbeat->pause;
	return true;
}

int heartbeat_wait(const struct heartbeat *heartbeat, int64_t now)
{
	int64_t until = heartbeat->due;

	if (!heartbeat->due)
		return -1;
	if (heartbeat->since)
		until = heartbeat->asked ? heartbeat->since + heartbeat->patience : now + AGAIN;
	return until <= now ? 0 : (int)(until - now);
}
