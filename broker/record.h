/* SPDX-License-Identifier: MIT */
/*
 * record.h: what the record says of requests: those that were denied or that no correct program makes, in sums where
 * they repeat (sums.h), and those that were granted where somebody wants to know.
 */
#ifndef BROKER_RECORD_H
#define BROKER_RECORD_H

#include "audit.h"
#include "peer.h"
#include "request.h"
#include "resolve.h"
#include "sums.h"

/* Each thread has one; `sums` is shared. */
struct record {
	struct audit_line *line; /* to put a line together in */
	int log;
	struct sums *sums;
	bool grants; /* of everybody; else of whom the policy says */
};

/* Records a request that the policy was asked about. `error` is a positive errno, or 0: it was granted. */
void record_request(const struct record *record, const struct peer *peer,
	const struct request *request, const struct outcome *outcome, int error);

/* Records one that was refused before the policy was asked; `request` is NULL where it could not be read. */
void record_refusal(const struct record *record, const struct peer *peer,
	const struct request *request, bool denied, const char *reason, int error);

/* Why a view could not be made, in words; a negative errno. */
const char *record_view_reason(int error);

/*
 * Records that a view of the directory `path`, which the policy names in that line of `file`, could not be made while the
 * daemon serves: a negative errno. Counted where it repeats, whichever directories it is about.
 */
void record_view(const struct record *record, const char *path, const char *file, unsigned int line,
	int error);

/*
 * Writes what has been counted and is to be told by `now` (clock_ms; INT64_MAX: all). Returns when there will be
 * more, INT64_MAX for never. It costs nothing where nothing is to be told.
 */
int64_t record_due(const struct record *record, int64_t now);

#endif
