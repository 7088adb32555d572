/* SPDX-License-Identifier: MIT */
/*
 * operations.h: the table of what can be asked. One row an operation: whoever adds one adds a row, a function beside
 * the others, and nothing in between.
 */
#ifndef BROKER_OPERATIONS_H
#define BROKER_OPERATIONS_H

#include "accounts.h"
#include "clock.h"
#include "inspect.h"
#include "peer.h"
#include "record.h"
#include "request.h"
#include "resolve.h"
#include "statistics.h"

/* What the threads of a worker share. Constant while it serves, but for what is counted. */
struct service {
	const struct policy *policy;
	struct views *views;
	int log;	 /* the record's descriptor */
	bool log_grants; /* of everybody */
	struct sums *sums;
	uid_t daemon_uid; /* whom, besides root, the status is for */
	const char *policy_path;
	char started[CLOCK_STAMP], loaded[CLOCK_STAMP]; /* the daemon, and this worker's policy */
	int64_t loaded_at;				/* the latter, as clock_ms */
	_Atomic size_t *connections;			/* that there are at the moment */
	struct statistics_set *statistics;
	/* Adds what else `status` tells: lines "NAME VALUE" of `size` bytes at most, with a NUL; their length. */
	size_t (*tell_more)(void *context, char *text, size_t size);
	void *tell_context;
	struct questions *questions;
};

/* What one thread does the operations with. */
struct operations {
	const struct service *service;
	struct resolver resolver;
	struct resolve_holds holds;
	struct statistics statistics; /* this thread's */
	bool denied;		      /* the request under way was, by the policy or before it */
	struct record record;
	struct audit_line line;	     /* for the record */
	char data[INSPECT_DATA_MAX]; /* of the reply under way */
};

/* NULL where memory is short. */
struct operations *operations_new(const struct service *service);
void operations_free(struct operations *operations);

/* In whose name the next request may be done: the caller's own socket (-1: nobody's) with the supervisor's
 * number for him, and until when (ms). */
void operations_client(
	struct operations *operations, int client, uint32_t number, int64_t deadline);

/* How long the thread may wait, and what says that it need not any more (NULL: nothing). At first not at all. */
void operations_patience(
	struct operations *operations, enum patience patience, const _Atomic bool *cancelled);

/*
 * Does what `request` asks for `peer` and fills in `reply`, whose descriptor the caller then owns
 * and whose data lives until the next call. Denials are recorded. `stranger` says that the message
 * was sent by somebody other than the peer: it is refused. A request that takes more patience than the thread has is
 * not done, and the reply says so (`deferred`).
 */
void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply);

/*
 * Whether the peer may tell the daemon what to do. 0, or -EACCES after recording it; -EINVAL for a request with a
 * path.
 */
int operations_administer(
	struct operations *operations, const struct peer *peer, const struct request *request);

/* Counts, and records where it is to be told of, that a limit left no room for what the peer wanted. */
void operations_refused(struct operations *operations, const struct peer *peer,
	const struct account_refusal *refusal);

/* Records that a message of `peer` was no request, before its connection is closed. */
void operations_malformed(struct operations *operations, const struct peer *peer,
	const struct request *request, const char *reason, int error);

/* Records that what another thread did for `peer` was not done in time. */
void operations_late(
	struct operations *operations, const struct peer *peer, const struct request *request);

/* Records and counts that nobody waits any longer for what another thread does for `peer`. */
void operations_timed_out(
	struct operations *operations, const struct peer *peer, const struct request *request);

/* Records that the connection of `peer` is ended, since it takes none of its replies. */
void operations_dropped(struct operations *operations, const struct peer *peer);

/*
 * Records that something was short (a negative errno) for what `peer` asked for, beside the operation itself; `request`
 * is NULL where it is not known any more.
 */
void operations_short(struct operations *operations, const struct peer *peer,
	const struct request *request, int error);

#endif
