/* SPDX-License-Identifier: MIT */
/*
 * operations.h: the table of what can be asked, and the record of what was answered. One row an
 * operation: whoever adds one adds a row, a function beside the others, and nothing in between.
 */
#ifndef BROKER_OPERATIONS_H
#define BROKER_OPERATIONS_H

#include "audit.h"
#include "peer.h"
#include "request.h"
#include "resolve.h"

/* Bytes of a status report. */
#define OPERATIONS_STATUS_MAX 8192

/* What the operations work on; all of it the worker's. */
struct operations {
	struct resolver resolver;
	struct audit_line *line; /* to put a line of the record together in */
	int log;		 /* the record's descriptor */
	uid_t daemon_uid;	 /* whom, besides root, the status is for */
	const char *policy_path;
	char started[24], loaded[24]; /* RFC 3339: the daemon, and this worker's policy */
	size_t connections;
	uint64_t requests, denials;
	char status[OPERATIONS_STATUS_MAX];
};

/*
 * Does what `request` asks for `peer` and fills in `reply`, whose descriptor the caller then owns
 * and whose data lives until the next call. Denials are recorded. `stranger` says that the message
 * was sent by somebody other than the peer: it is refused.
 */
void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply);

/* Records that a message of `peer` was no request, before its connection is closed. */
void operations_malformed(
	struct operations *operations, const struct peer *peer, const char *reason, int error);

#endif
