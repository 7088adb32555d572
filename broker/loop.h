/* SPDX-License-Identifier: MIT */
/*
 * loop.h: an event thread of the worker: its connections, the clock, and what other threads have for it. It never
 * waits for anything but events. Connections are spread over several of these; the first is the
 * worker's own thread.
 */
#ifndef BROKER_LOOP_H
#define BROKER_LOOP_H

#include "accounts.h"
#include "connection.h"

#define SETTLING_HASH 1024

/* What the event threads share, besides the service of the operations. */
struct house {
	const struct service *service;
	struct accounts *accounts;
	struct lane *lane;
	int open_timeout; /* ms */
	int channel;	  /* to the supervisor */
	/* Connections of a uid, by a hash of it, about which it is being found out who they are. */
	_Atomic unsigned int settling[SETTLING_HASH];
	struct loop *loops[8];
	unsigned int loop_count;
};

struct loop;

/* NULL where memory or descriptors are short. */
struct loop *loop_new(struct house *house);

/* A client on its way to a loop. */
struct arrival {
	struct arrival *next;
	int socket;	 /* the loop's from then on */
	const char *via; /* the address that it connected to; outlives it */
	uint32_t client; /* the supervisor's number for it */
	bool taken_over; /* another worker served it before */
	uint32_t reload; /* the id of its request for a reload; 0: none */
};

/* Takes a client, in this thread or from another. 0 or -ENOMEM; then the socket is the caller's. */
int loop_take(struct loop *loop, const struct arrival *arrival);

/*
 * What became of the reload that a client asked for by its request `id`: 0 or an errno, and text for a person. As
 * loop_take.
 */
int loop_reloaded(struct loop *loop, uint32_t client, uint32_t id, int error, const char *text);

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

/* Runs until a source ends it, or loop_stop from another thread. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * After it has run: waits until `end` (clock_ms) at most for those jobs that nobody can ask for again, and answers
 * them. What else was under way is not answered, and no connection is ended: another worker goes on with them.
 */
void loop_finish(struct loop *loop, int64_t end);

/* Closes all its connections, and frees it unless a thread of the lane hangs in a job of its. Not while it runs. */
void loop_free(struct loop *loop);

#endif
