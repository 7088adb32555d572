/* SPDX-License-Identifier: MIT */
/*
 * accounts.h: how much of the broker each uid has, and the callers of each subject together, and how much they
 * may have. Whatever is taken is given back; what a limit does not leave room for is not taken.
 *
 * There is one struct accounts for a worker, and any number of threads may use it at once. Each connection has
 * a struct account, which knows where its uid and its subjects are counted and which limits apply to it: the
 * smallest of those that its subjects have, else those of defaults.h. Taking and giving back is then a few
 * additions under a lock.
 *
 * Descriptors that were sent count until the client has received them, of which nobody is told. So a
 * connection remembers how many it has sent, and SIOCOUTQ (unix(7)) is asked what of them is still in its queue
 * only when it matters: every few descriptors, and when a limit is near, then for the uid's other connections too.
 *
 * Times are nanoseconds of one monotonic clock; they may be a little old.
 */
#ifndef BROKER_ACCOUNTS_H
#define BROKER_ACCOUNTS_H

#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum account_kind {
	ACCOUNT_CONNECTIONS, /* taken and given back by accounts_open and account_close alone */
	ACCOUNT_OPENS,	     /* in flight */
	ACCOUNT_DESCRIPTORS, /* sent or about to be, not yet received */
	ACCOUNT_BYTES,	     /* of replies that wait to be sent */
	ACCOUNT_REQUESTS,    /* a second: account_request */
	ACCOUNT_KINDS,
};

/* The word of the policy's language for a kind, or of its own: "connections", "opens", ..., "rate". Static. */
const char *account_kind_name(enum account_kind kind);

/* Which limit left no room. */
struct account_refusal {
	enum account_kind kind;
	uint32_t limit;
	uint64_t value; /* what was taken of it at the time; of ACCOUNT_REQUESTS the burst */
	bool total;	/* of all callers of `subject` together, else of `uid` */
	uid_t uid;	/* of the connection, in any case */
	uint32_t
		subject; /* its number (policy_caller_totals); meaningless where `total` is false */
	uint64_t wait;	 /* of ACCOUNT_REQUESTS: ns until the next one would pass; BUCKET_NEVER */
	/*
	 * To be told of: the first refusal since no more than half of the limit was taken, and ACCOUNT_TELL_EVERY
	 * after the last that was told of. The others are counted: `refusals` is how many there were since then,
	 * with this one.
	 */
	bool first;
	uint64_t refusals;
};

/* ns. Whoever goes up to a limit and back again and again does not fill the record. */
#define ACCOUNT_TELL_EVERY UINT64_C(10000000000)

struct accounts;
struct account;

/* For a policy of so many subjects (struct policy_summary). NULL where memory is short. */
struct accounts *accounts_new(size_t subjects);
/* Every account must have been closed. */
void accounts_free(struct accounts *accounts);

/*
 * Counts one more connection of `uid`, who is `caller`, over `socket`, which stays the caller's own and must be
 * open until account_close. 0; -EDQUOT, and `refusal` says which limit; -ENOMEM. The refusal is filled in only
 * where -EDQUOT is returned, here and below.
 */
int accounts_open(struct accounts *accounts, uid_t uid, const struct policy_caller *caller,
	int socket, uint64_t now, struct account **account, struct account_refusal *refusal);

/*
 * The end of a connection: it is counted no longer, nor are the descriptors that it has sent (what keeps them
 * counted until they have been received is undelivered.h). To be called before the socket is closed. Drops the
 * reference of accounts_open.
 */
void account_close(struct account *account, uint64_t now);

/*
 * Further references, for what outlives the connection, as an open under way. When the last one goes everything
 * must have been given back.
 */
struct account *account_hold(struct account *account);
void account_release(struct account *account, uint64_t now);

/* One request. 0 or -EDQUOT. */
int account_request(struct account *account, uint64_t now, struct account_refusal *refusal);

/* Takes `n` of `kind`, which is OPENS, DESCRIPTORS or BYTES: all or nothing. 0 or -EDQUOT. */
int account_take(struct account *account, enum account_kind kind, uint32_t n, uint64_t now,
	struct account_refusal *refusal);
/* Of descriptors: those that have not been sent after all. */
void account_give_back(struct account *account, enum account_kind kind, uint32_t n);

/*
 * `n` descriptors, which had been taken, have been sent over the socket in one message, just now. They come
 * back of themselves. At most 65,535 in one message.
 */
void account_sent(struct account *account, uint32_t n);

/*
 * Another worker had the connection: what it has sent and the client has not received counts, be it more than there
 * is room for. To be called right after accounts_open.
 */
void account_inherit(struct account *account);

#endif
