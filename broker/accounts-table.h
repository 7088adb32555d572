/* SPDX-License-Identifier: MIT */
/*
 * accounts-table.h: where accounts.c counts: of each uid and each subject what it has now, found by a hash of
 * the uid. Nobody else includes it. All but accounts_total want the lock to be held.
 */
#ifndef BROKER_ACCOUNTS_TABLE_H
#define BROKER_ACCOUNTS_TABLE_H

#include "accounts.h"
#include "bucket.h"
#include "delivery.h"

/* What is taken of one kind, and what was told about refusing more. */
struct counter {
	uint64_t used;
	uint64_t refusals; /* since one was told of */
	uint64_t told_at;
	uint32_t told_limit; /* which it was */
	bool told, ever_told;
};

/* The bucket of those callers of a uid that have the same rate. */
struct pace {
	struct pace *next;
	struct bucket bucket;
};

/* What one uid, or all callers of one subject, have. */
struct usage {
	struct usage *next;			 /* of the same hash */
	struct usage *idle_previous, *idle_next; /* where nobody shares in it */
	uid_t uid;
	uint32_t subject;
	bool total;
	struct counter counters[ACCOUNT_KINDS];
	struct share *shares; /* first those of whom descriptors were sent last */
	uint32_t share_count;
	uint64_t looked; /* when some of their queues were looked at in vain */
	struct pace *paces;
};

/* That an account counts in a usage, and up to what. */
struct share {
	struct usage *usage;
	struct account *account;
	struct share *previous, *next;
	uint32_t limits[ACCOUNT_KINDS];
};

struct account {
	struct accounts *accounts;
	struct pace *pace; /* NULL: without a limit */
	int socket;	   /* -1: closed */
	uint32_t references;
	struct delivery delivery;
	uint64_t taken[ACCOUNT_KINDS];
	uint32_t share_count;
	struct share shares[]; /* the uid's first, then those of subjects with a total */
};

void accounts_lock(struct accounts *accounts);
void accounts_unlock(struct accounts *accounts);

/* The usage of a subject's callers together. */
struct usage *accounts_total(struct accounts *accounts, uint32_t subject);

/* The usage of a uid, made where there is none. NULL where memory is short. */
struct usage *accounts_find(struct accounts *accounts, uid_t uid, uint64_t now);
/*
 * To be called when a share of a uid's usage was left, or none was joined: where it was the last one, the
 * usage is kept only until nobody could tell, and then freed. It must be at zero.
 */
void accounts_put(struct accounts *accounts, struct usage *usage, uint64_t now);

/* The bucket for such a rate, made where there is none, and freed with the usage. NULL where memory is short. */
struct pace *accounts_pace(struct usage *usage, uint32_t rate, uint32_t burst, uint64_t now);

void usage_join(struct share *share);
void usage_leave(struct share *share);

#endif
