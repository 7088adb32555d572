/* SPDX-License-Identifier: MIT */
/*
 * service.h: the supervisor as a service among others. Tells whoever started it when it is ready
 * (notify.h, --ready-fd), keeps telling that it is alive, and makes sure that the worker is.
 */
#ifndef BROKER_SERVICE_H
#define BROKER_SERVICE_H

#include "heartbeat.h"
#include "notify.h"

struct service {
	struct notify notify;
	struct heartbeat heartbeat;
	int ready; /* of --ready-fd, until it has been written to; else -1 */
};

/* `ready` is the descriptor of --ready-fd, or -1. */
void service_init(struct service *service, int ready);

/* A worker serves. `summary` is what it serves, in a line. */
void service_ready(struct service *service, const char *summary);

/* None does: it has died or is to be replaced. */
void service_interrupted(struct service *service);

void service_stopping(struct service *service);

/*
 * What is due, at each turn of the loop. `channel` is the serving worker's, -1 where there is none. 0; -ETIMEDOUT
 * where the worker has not answered for too long and is to be replaced; or what channel_send fails with. `wait` is
 * in how many ms to come back, -1 for never.
 */
int service_turn(struct service *service, int channel, int *wait);

/* The worker says PONG on its channel. False where that was not its turn. */
bool service_answered(struct service *service);

/* Before the end. */
void service_close(struct service *service);

#endif
