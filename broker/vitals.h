/* SPDX-License-Identifier: MIT */
/*
 * vitals.h: what the supervisor shows of being alive. Tells whoever started it when it is ready
 * (notify.h, --ready-fd), keeps telling that it is alive, and makes sure that the worker is.
 */
#ifndef BROKER_VITALS_H
#define BROKER_VITALS_H

#include "heartbeat.h"
#include "notify.h"
#include "state.h"

struct vitals {
	struct notify notify;
	struct heartbeat heartbeat;
	int ready; /* of --ready-fd, until it has been written to; else -1 */
};

/* `ready` is the descriptor of --ready-fd, or -1. */
void vitals_init(struct vitals *vitals, int ready);

/* A worker serves. `summary` is what it serves, in a line. */
void vitals_ready(struct vitals *vitals, const char *summary);

/* A policy is being loaded. Afterwards either another worker serves, or the same one goes on. */
void vitals_reloading(struct vitals *vitals);
void vitals_goes_on(struct vitals *vitals, const char *summary);

/* None does: it has died or is to be replaced. */
void vitals_interrupted(struct vitals *vitals);

void vitals_stopping(struct vitals *vitals);

/*
 * What is due, at each turn of the loop. `channel` is the serving worker's, -1 where there is none. 0; -ETIMEDOUT
 * where the worker has not answered for too long and is to be replaced; or what channel_send fails with. `wait` is
 * in how many ms to come back, -1 for never.
 */
int vitals_turn(struct vitals *vitals, int channel, int *wait);

/* The worker says PONG on its channel. False where that was not its turn. */
bool vitals_answered(struct vitals *vitals);

/* Writes, or reads over what vitals_init has found, what has been said and is still to be heard (state.h). */
void vitals_transfer(struct vitals *vitals, struct state *state);

/* Before the end. */
void vitals_close(struct vitals *vitals);

#endif
