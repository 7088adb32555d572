/* SPDX-License-Identifier: MIT */
/*
 * operations.h: the table of what can be asked, and the record of what was answered. One row an
 * operation: whoever adds one adds a row, a function beside the others, and nothing in between.
 */
#ifndef BROKER_OPERATIONS_H
#define BROKER_OPERATIONS_H

#include "audit.h"
#include "clock.h"
#include "inspect.h"
#include "peer.h"
#include "request.h"
#include "resolve.h"

/* What has been counted since the worker began to serve. */
struct counters {
	_Atomic size_t connections; /* at the moment */
	_Atomic uint64_t requests, denials;
};

/* What the threads of a worker share. Constant while it serves, but for the counters. */
struct service {
	const struct policy *policy;
	struct views *views;
	int log;	  /* the record's descriptor */
	uid_t daemon_uid; /* whom, besides root, the status is for */
	const char *policy_path;
	char started[CLOCK_STAMP], loaded[CLOCK_STAMP]; /* the daemon, and this worker's policy */
	struct counters *counters;
	struct questions *questions;
};

/* What one thread does the operations with. */
struct operations {
	const struct service *service;
	struct resolver resolver;
	struct resolve_holds holds;
	struct audit_line line;	     /* to put a line of the record together in */
	char data[INSPECT_DATA_MAX]; /* of the reply under way */
};

/* NULL where memory is short. */
struct operations *operations_new(const struct service *service);
void operations_free(struct operations *operations);

/* In whose name the next request may be done: the caller's own socket (-1: nobody's), and until when (ms). */
void operations_client(struct operations *operations, int client, int64_t deadline);

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

/* Records that a message of `peer` was no request, before its connection is closed. */
void operations_malformed(
	struct operations *operations, const struct peer *peer, const char *reason, int error);

#endif
