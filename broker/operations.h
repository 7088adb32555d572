/* SPDX-License-Identifier: MIT */
/*
 * operations.h: the table of what can be asked. One row an operation: whoever adds one adds a row, a function beside the others, and nothing in between.
 */
#ifndef BROKER_OPERATIONS_H
#define BROKER_OPERATIONS_H

#include "inspect.h"
#include "peer.h"
#include "record.h"
#include "request.h"
#include "resolve.h"
#include "statistics.h"

/* What the operations work on; all of it the worker's. */
struct operations {
	struct resolver resolver;
	struct record record;
	struct statistics *statistics;		 /* to count in */
	const struct statistics *all_statistics; /* the chain that it is part of */
	bool denied;	  /* the request under way was, by the policy or before it */
	uid_t daemon_uid; /* whom, besides root, the status is for */
	const char *policy_path;
	char started[24], loaded[24]; /* RFC 3339: the daemon, and this worker's policy */
	int64_t loaded_at;	      /* the latter, as clock_ms */
	size_t connections;
	char data[INSPECT_DATA_MAX]; /* of the reply under way */
};

/*
 * Does what `request` asks for `peer` and fills in `reply`, whose descriptor the caller then owns
 * and whose data lives until the next call. Denials are recorded. `stranger` says that the message
 * was sent by somebody other than the peer: it is refused.
 */
void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply);

/* Records that a message of `peer` was no request, before its connection is closed. */
void operations_malformed(struct operations *operations, const struct peer *peer,
	const struct request *request, const char *reason, int error);

#endif
