/* SPDX-License-Identifier: MIT */
/*
 * pace.h: how often a uid may connect. Each connection that the supervisor accepts costs it, the worker and the
 * scheduler more than most requests do, so who connects without a pause would slow down all others. He waits
 * instead. Pure: the caller says what time it is, in nanoseconds of a monotonic clock.
 */
#ifndef BROKER_PACE_H
#define BROKER_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pace;

/* `rate` connections a second for each uid (1 to a billion), that many saved up, and `waiting` at once that wait for
 * their turn, none longer than PACE_PATIENCE. NULL where memory is short. */
struct pace *pace_new(uint32_t rate, uint32_t waiting);
/* ns */
#define PACE_PATIENCE UINT64_C(1000000000)

/* What is to be told of a uid. */
struct pace_news {
	uid_t uid;
	uint32_t refusals; /* how many were refused since it was told of last */
	uint32_t others;   /* lines about other uids that were left out since the last one */
};

struct pace_answer {
	uint64_t wait; /* ns that the connection has to wait */
	bool refused;  /* too many of the uid wait already */
	bool tell;     /* it had to wait or was refused, and that was not told of lately: */
	struct pace_news news;
};

/* ns between two times that the same uid is told of, and how often anybody is meanwhile: there may be more uids than the
 * record has room for. */
#define PACE_TELL  UINT64_C(10000000000)
#define PACE_LINES 16

/* Counts a connection of the uid. Without memory it passes. */
void pace_take(struct pace *pace, uid_t uid, uint64_t now, struct pace_answer *answer);

/* For those that were refused after they were told of: `news` of one whose time it is; false where there is none. */
bool pace_next(struct pace *pace, uint64_t now, struct pace_news *news);
/* When to ask for that; 0: never. */
uint64_t pace_due(const struct pace *pace);

void pace_free(struct pace *pace);

#endif
