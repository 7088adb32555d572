/* SPDX-License-Identifier: MIT */
/*
 * loop.h: an event thread of the worker: its connections, the clock, and what other threads have for it. It never
 * waits for anything but events. Connections are spread over several of these; one more thing only the first does, it
 * accepts.
 */
#ifndef BROKER_LOOP_H
#define BROKER_LOOP_H

#include "accounts.h"
#include "connection.h"

/* What the event threads share, besides the service of the operations. */
struct house {
	const struct service *service;
	struct accounts *accounts;
	struct lane *lane;
	int open_timeout; /* ms */
	struct loop *loops[8];
	unsigned int loop_count;
};

struct loop;

/* NULL where memory or descriptors are short. */
struct loop *loop_new(struct house *house);

/*
 * Takes a client that has connected to `via`, in this thread or from another; the socket is the loop's from then on.
 * 0 or a negative errno: there is no room.
 */
int loop_take(struct loop *loop, int socket, const char *via);

/*
 * Watches a descriptor for what else the thread does: `ready` is called with it and with `context` before any request
 * is served, and returns 0, or -1 to end the loop. 0 or a negative errno.
 */
struct loop_source {
	int descriptor;
	int (*ready)(void *context, struct loop_source *source, uint32_t events);
	void *context;
};
int loop_watch(struct loop *loop, struct loop_source *source);
void loop_unwatch(struct loop *loop, struct loop_source *source);

/* Calls `ready` after `ms` milliseconds, once. */
void loop_later(struct loop *loop, int ms, void (*ready)(void *context), void *context);

/* Runs until a source ends it, or loop_stop from another thread. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Closes all its connections. Not while it runs. */
void loop_free(struct loop *loop);

#endif
