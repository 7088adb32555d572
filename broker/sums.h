/* SPDX-License-Identifier: MIT */
/*
 * sums.h: repeated denials are counted, not repeated, so that nobody can fill the disk by asking for what he does
 * not get.
 *
 * Of each uid the first SUMS_FIRST denials of one kind (the same verdict, right, rule or reason, and errno) get
 * lines of their own. What comes after them within SUMS_WINDOW of the uid's first one is counted, and told as one
 * number for each kind when that time is over. Beyond SUMS_KINDS kinds or SUMS_BYTES of lines a uid's denials are
 * counted together; and where SUMS_UIDS uids are being denied things at once, those of all others are. So whatever
 * anybody does, SUMS_UIDS * SUMS_BYTES and SUMS_UIDS * SUMS_KINDS short lines are the most of one window, and
 * the memory is fixed. What the daemon itself fails in (`own`) is counted likewise, in a place of its own that no
 * caller can take.
 *
 * Pure, but for a mutex: any number of threads may count into one table. The time is the caller's to tell, in ms
 * that never go back.
 */
#ifndef BROKER_SUMS_H
#define BROKER_SUMS_H

#include "policy.h"

#define SUMS_FIRST  5
#define SUMS_WINDOW 10000 /* ms */
#define SUMS_KINDS  16
#define SUMS_BYTES  32768
#define SUMS_UIDS   64

/* The uid where the denials of many are counted together. */
#define SUMS_EVERYBODY ((uid_t)-1)

/* What makes denials one kind. Pointers are compared, not what they point to: it lives as long as the policy. */
struct sums_kind {
	bool own;    /* of the daemon, and no uid's */
	bool denied; /* or an error */
	int error;   /* positive errno */
	uint32_t rights;
	const struct policy_rule_place *rule;
	const char *reason;  /* NULL: denials of several kinds */
	const char *subject; /* told along; what it is follows from the uid, nearly always */
};

struct sums_total {
	uid_t uid; /* SUMS_EVERYBODY for the daemon's own, too */
	struct sums_kind kind;
	uint64_t repeated; /* how many had no line */
};

struct sums;

/* NULL where memory is short. */
struct sums *sums_new(void);
void sums_free(struct sums *sums);

/* Whether a denial, of which the line would have about `bytes`, is to have one; else it is counted. */
bool sums_admit(
	struct sums *sums, int64_t now, uid_t uid, const struct sums_kind *kind, size_t bytes);

/* When something will have to be told, in the same ms; INT64_MAX where nothing waits. Cheap. */
int64_t sums_due(const struct sums *sums);

/* Takes one number that is to be told by now (INT64_MAX: all). False where there is none. */
bool sums_take(struct sums *sums, int64_t now, struct sums_total *total);

#endif
