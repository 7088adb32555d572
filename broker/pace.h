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
 * their turn. NULL where memory is short. */
struct pace *pace_new(uint32_t rate, uint32_t waiting);

struct pace_answer {
	uint64_t wait;	   /* ns that the connection has to wait */
	bool refused;	   /* too many of the uid wait already */
	bool tell;	   /* it had to wait or was refused, and that was not told of lately: */
	uint32_t refusals; /* how many were refused since */
};

/* ns between two times that it is told of the same uid. */
#define PACE_TELL UINT64_C(10000000000)

/* Counts a connection of the uid. Without memory it passes. */
void pace_take(struct pace *pace, uid_t uid, uint64_t now, struct pace_answer *answer);

void pace_free(struct pace *pace);

#endif
