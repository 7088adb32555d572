/* SPDX-License-Identifier: MIT */
/*
 * connection.h: one client's socket. Receives a message, has it decoded and done, sends the reply; whatever the client
 * does, what it costs is bounded and its own.
 *
 * A client that does not take its replies is not read from: they wait here, nothing more is begun until they are gone,
 * and what is queued in the kernel is bounded by the socket's send buffer. What may take long is done in the lane
 * (lane.h) while further requests are read, up to a bound; the replies come as they are ready.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "accounts.h"
#include "lane.h"
#include "operations.h"
#include "undelivered.h"

/* ms that a client may leave replies waiting without taking one; then it is dropped. */
#define CONNECTION_PATIENCE 30000

/* Requests of one connection that may be in the lane; the next are not read until one is done. */
#define CONNECTION_JOBS_MAX 16

struct account;
struct waiting;

struct connection {
	int socket;
	uint32_t client;  /* the supervisor's number for it */
	bool taken_over;  /* another worker served it before */
	uint8_t syncs;	  /* SYNCs that do not count as requests */
	uint32_t watched; /* the events of epoll(7) that it is watched for */
	struct peer peer;
	struct account *account; /* the thread's, which closes it; NULL where none is open */
	struct connection *previous, *next;	       /* of the thread's list */
	int64_t expires;			       /* ms of CLOCK_MONOTONIC; 0: never */
	struct waiting *first, **last;		       /* replies that the client has no room for */
	struct connection *next_slow, **previous_slow; /* of those that have some */
	int64_t patience;			       /* ms: until when it may take none of them */
	unsigned int jobs;			       /* in the lane */
	bool closed;				       /* it is kept for these only */
	uint32_t reload; /* the id of its request for a reload; 0: none */
};

/* What one event thread serves its connections with. */
struct server {
	int epoll;
	int channel; /* to the supervisor */
	struct operations *operations;
	struct lane *lane;
	void (*done)(struct job *job); /* for jobs, as in struct job */
	void *context;
	int open_timeout;	   /* ms that a job may take */
	struct job *first, **last; /* the thread's jobs that are waited for, by deadline */
	struct job *stuck;	   /* those that nobody waits for, and that have not stopped yet */
	int64_t prod;		   /* ms: when to tell those again to stop */
	struct connection *slow,
		**last_slow; /* connections whose replies wait, by when they are given up */
	struct undelivered
		undelivered; /* sockets of those that are gone and have received not all */
	char buffer[FDBROKER_REQUEST_MAX + 1];
};

/*
 * Makes a connection of `socket`, which it owns from then on; `client` is the supervisor's number for it. NULL where
 * memory is short.
 */
struct connection *connection_new(int socket, uint32_t client, bool taken_over);

/*
 * Has it found out in the lane who the peer is, of whom peer_begin has been asked. The job that comes back to
 * connection_finish has `settles` set, and the errno in its reply. `settling` counts how many are
 * being found out about. 0 or -ENOMEM.
 */
int connection_settle(
	struct connection *connection, struct server *server, _Atomic unsigned int *settling);
/* Whether that is under way for the client of that number. */
bool connection_settling(const struct server *server, uint32_t client);

/*
 * Once its peer is known: begins to listen to it; a client that another worker served is told so first. 0 or a negative
 * errno.
 */
int connection_start(struct connection *connection, struct server *server);

/* Tells the client why it is to go: a reply to no request, with `error`, if there is room for it. */
void connection_dismiss(struct connection *connection, int error);

/*
 * What became of the reload that its request `id` was for, if that is still unanswered: 0 or a positive errno, and
 * text for a person. 0, or -1 at its end.
 */
int connection_reloaded(struct connection *connection, struct server *server, uint32_t id,
	int error, const char *text);

/* Tells the supervisor that the socket of that client is closed here. `context` is the server. */
void connection_tell_closed(void *context, uint32_t client);

/*
 * Ends the connection, and tells the supervisor when the client has received everything; the reasons already sent
 * still reach the client. Frees everything, once the last of its jobs is done (connection_finish): until then
 * `closed` is set.
 */
void connection_close(struct connection *connection, struct server *server);

/*
 * Does what `events` (epoll_wait(2)) call for: at most one request. Returns 0, or -1 when the connection is at its
 * end and connection_close is to be called.
 */
int connection_ready(struct connection *connection, uint32_t events, struct server *server);

/*
 * A job of one of the server's connections is done: answers it, unless nobody waits any more, and frees it. NULL, or
 * the connection, which is at its end.
 */
struct connection *connection_finish(struct server *server, struct job *job);

/* Whether there are jobs that are waited for and that a client would not ask for again (doc/protocol.md, SYNC). */
bool connection_lossy(const struct server *server);

/*
 * Answers the jobs whose time is up with ETIMEDOUT. When the next one is due, in ms of CLOCK_MONOTONIC, -1 for never.
 * Connections at their end are told of by `end`.
 */
int64_t connection_expire(struct server *server, int64_t now,
	void (*end)(void *context, struct connection *connection), void *context);

#endif
