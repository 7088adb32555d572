/* SPDX-License-Identifier: MIT */
#include "accounts.h"

#include "accounts-table.h"
#include "defaults.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

const char *account_kind_name(enum account_kind kind)
{
	static const char *const names[ACCOUNT_KINDS] = {
		[ACCOUNT_CONNECTIONS] = "connections",
		[ACCOUNT_OPENS] = "opens",
		[ACCOUNT_DESCRIPTORS] = "descriptors",
		[ACCOUNT_BYTES] = "bytes",
		[ACCOUNT_REQUESTS] = "rate",
	};

	return names[kind];
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static uint32_t limit_or(uint32_t said, uint32_t otherwise)
{
	return said == POLICY_LIMIT_UNSAID ? otherwise : said;
}

static void set_limits(uint32_t limits[ACCOUNT_KINDS], const struct policy_limits *said)
{
	limits[ACCOUNT_CONNECTIONS] = limit_or(said->connections, DEFAULT_CONNECTIONS);
	limits[ACCOUNT_OPENS] = limit_or(said->opens, DEFAULT_OPENS);
	limits[ACCOUNT_DESCRIPTORS] = limit_or(said->descriptors, DEFAULT_DESCRIPTORS);
	limits[ACCOUNT_BYTES] = DEFAULT_BYTES;
	limits[ACCOUNT_REQUESTS] = limit_or(said->rate, DEFAULT_RATE);
}

/* Of all callers together: where nothing is said there is no limit. */
static void set_totals(uint32_t limits[ACCOUNT_KINDS], const struct policy_limits *said)
{
	limits[ACCOUNT_CONNECTIONS] = limit_or(said->connections, POLICY_LIMIT_NONE);
	limits[ACCOUNT_OPENS] = limit_or(said->opens, POLICY_LIMIT_NONE);
	limits[ACCOUNT_DESCRIPTORS] = limit_or(said->descriptors, POLICY_LIMIT_NONE);
	limits[ACCOUNT_BYTES] = POLICY_LIMIT_NONE;
	limits[ACCOUNT_REQUESTS] = POLICY_LIMIT_NONE;
}

static bool has_totals(const struct policy_limits *totals)
{
	return totals->connections || totals->opens || totals->descriptors;
}

/* Without a burst of its own a rate has that of one second. */
static uint32_t burst_of(const struct policy_limits *said)
{
	if (said->burst != POLICY_LIMIT_UNSAID)
		return said->burst;
	return said->rate == POLICY_LIMIT_UNSAID ? DEFAULT_BURST : said->rate;
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static int refuse(const struct share *share, enum account_kind kind, uint64_t now,
	struct account_refusal *refusal)
{
	const struct usage *usage = share->usage;
	struct counter *counter = &share->usage->counters[kind];
	uint64_t since = now > counter->told_at ? now - counter->told_at : 0;

	counter->refusals++;
	*refusal = (struct account_refusal){
		.kind = kind,
		.limit = share->limits[kind],
		.value = counter->used,
		.total = usage->total,
		.uid = share->account->shares[0].usage->uid,
		.subject = usage->subject,
		.first = !counter->told && (!counter->ever_told || since >= ACCOUNT_TELL_EVERY),
		.refusals = counter->refusals,
	};
	if (refusal->first) {
		counter->told = counter->ever_told = true;
		counter->told_at = now;
		counter->told_limit = share->limits[kind];
		counter->refusals = 0;
	}
	return -EDQUOT;
}

/* ---- counting ---------------------------------------------------------------------------------
 */

static bool fits(const struct share *share, enum account_kind kind, uint32_t n)
{
	uint64_t used = share->usage->counters[kind].used;
	uint32_t limit = share->limits[kind];

	return limit == POLICY_LIMIT_NONE || (n <= limit && used <= limit - n);
}

/* The first of an account's limits that leaves no room for `n` more, or NULL. */
static const struct share *find_full(
	const struct account *account, enum account_kind kind, uint32_t n)
{
	for (size_t i = 0; i < account->share_count; i++)
		if (!fits(&account->shares[i], kind, n))
			return &account->shares[i];
	return NULL;
}

static void add(struct account *account, enum account_kind kind, uint32_t n)
{
	account->taken[kind] += n;
	for (size_t i = 0; i < account->share_count; i++)
		account->shares[i].usage->counters[kind].used += n;
}

static void subtract(struct account *account, enum account_kind kind, uint32_t n)
{
	assert(account->taken[kind] >= n);
	account->taken[kind] -= n;
	for (size_t i = 0; i < account->share_count; i++) {
		struct counter *counter = &account->shares[i].usage->counters[kind];
		assert(counter->used >= n);
		counter->used -= n;
		if (counter->used <= counter->told_limit / 2)
			counter->told = false;
	}
}

/* ---- descriptors under way --------------------------------------------------------------------
 */

/* Descriptors of one connection after which it is looked what of them the client has received. */
#define LOOK_EVERY 16
/* Connections that are looked at when there is no room, and ns before that is done again in vain. */
#define LOOK_AT	   128
#define LOOK_PAUSE 1000000

/* Whether it is worth a look, before `n` more are sent. */
static bool near_limit(const struct account *account, uint32_t n)
{
	uint32_t sent = delivery_sent(&account->delivery);

	if (sent >= LOOK_EVERY)
		return true;
	for (size_t i = 0; sent && i < account->share_count; i++) {
		const struct share *share = &account->shares[i];
		uint32_t limit = share->limits[ACCOUNT_DESCRIPTORS];
		if (share->usage->counters[ACCOUNT_DESCRIPTORS].used + n > limit / 2)
			return true;
	}
	return false;
}

static uint32_t look(struct account *account)
{
	uint32_t received = delivery_received(&account->delivery, account->socket);

	if (received)
		subtract(account, ACCOUNT_DESCRIPTORS, received);
	return received;
}

/*
 * Looks at those connections that count where there is no room and were sent to last: most of them are idle by now,
 * and have been counted since they were not. True where some came back. Whoever is at its limit can have this done
 * over and over: so in vain not at once again.
 */
static bool look_at_some(struct usage *usage, uint64_t now)
{
	uint32_t received = 0;
	int left = LOOK_AT;

	if (usage->looked && now >= usage->looked && now - usage->looked < LOOK_PAUSE)
		return false;
	for (struct share *share = usage->shares; share && left; share = share->next, left--)
		received += look(share->account);
	usage->looked = received ? 0 : now;
	return received > 0;
}

/* Where something is sent over a connection over which nothing is under way. */
static void bring_forward(struct account *account)
{
	for (size_t i = 0; i < account->share_count; i++) {
		usage_leave(&account->shares[i]);
		usage_join(&account->shares[i]);
	}
}

static const struct share *find_full_of_descriptors(
	struct account *account, uint32_t n, uint64_t now)
{
	const struct share *full;

	if (near_limit(account, n))
		look(account);
	do
		full = find_full(account, ACCOUNT_DESCRIPTORS, n);
	while (full && look_at_some(full->usage, now));
	return full;
}

void account_sent(struct account *account, uint32_t n)
{
	delivery_add(&account->delivery, n);
}

void account_inherit(struct account *account)
{
	accounts_lock(account->accounts);
	add(account, ACCOUNT_DESCRIPTORS, delivery_find(&account->delivery, account->socket));
	accounts_unlock(account->accounts);
}

/* ---- taking -----------------------------------------------------------------------------------
 */

int account_take(struct account *account, enum account_kind kind, uint32_t n, uint64_t now,
	struct account_refusal *refusal)
{
	const struct share *full;
	int error = 0;

	assert(kind < ACCOUNT_REQUESTS && kind != ACCOUNT_CONNECTIONS);
	accounts_lock(account->accounts);
	if (kind == ACCOUNT_DESCRIPTORS)
		full = find_full_of_descriptors(account, n, now);
	else
		full = find_full(account, kind, n);
	if (full)
		error = refuse(full, kind, now, refusal);
	else
		add(account, kind, n);
	if (!error && kind == ACCOUNT_DESCRIPTORS && account->taken[kind] == n)
		bring_forward(account);
	accounts_unlock(account->accounts);
	return error;
}

void account_give_back(struct account *account, enum account_kind kind, uint32_t n)
{
	assert(kind < ACCOUNT_REQUESTS && kind != ACCOUNT_CONNECTIONS);
	accounts_lock(account->accounts);
	subtract(account, kind, n);
	accounts_unlock(account->accounts);
}

int account_request(struct account *account, uint64_t now, struct account_refusal *refusal)
{
	struct share *share = &account->shares[0];
	struct counter *counter = &share->usage->counters[ACCOUNT_REQUESTS];
	int error = 0;

	if (!account->pace)
		return 0;
	accounts_lock(account->accounts);
	struct bucket *bucket = &account->pace->bucket;
	if (!bucket_take(bucket, now)) {
		error = refuse(share, ACCOUNT_REQUESTS, now, refusal);
		refusal->value = bucket->burst;
		refusal->wait = bucket_wait(bucket, now);
	} else if (counter->told && bucket_tokens(bucket, now) >= bucket->burst / 2) {
		counter->told = false;
	}
	accounts_unlock(account->accounts);
	return error;
}

/* ---- connections ------------------------------------------------------------------------------
 */

/* An account with a place for each limit that can apply; what it counts in is not there yet. */
static struct account *new_account(struct accounts *accounts, const struct policy_caller *caller)
{
	size_t subjects = policy_caller_subjects(caller), count = 1;
	struct account *account;
	uint32_t subject;

	for (size_t i = 0; i < subjects; i++)
		count += has_totals(policy_caller_totals(caller, i, &subject));
	account = calloc(1, sizeof(*account) + count * sizeof(account->shares[0]));
	if (!account)
		return NULL;
	account->accounts = accounts;
	account->references = 1;
	account->share_count = 1;
	for (size_t i = 0; i < subjects; i++) {
		const struct policy_limits *totals = policy_caller_totals(caller, i, &subject);
		if (!has_totals(totals))
			continue;
		struct share *share = &account->shares[account->share_count++];
		share->usage = accounts_total(accounts, subject);
		set_totals(share->limits, totals);
	}
	for (size_t i = 0; i < account->share_count; i++)
		account->shares[i].account = account;
	return account;
}

/* Takes the connection, with the lock held. */
static int open_account(struct account *account, uid_t uid, const struct policy_limits *said,
	uint64_t now, struct account_refusal *refusal)
{
	struct usage *usage = accounts_find(account->accounts, uid, now);
	const struct share *full;
	int error = 0;

	if (!usage)
		return -ENOMEM;
	account->shares[0].usage = usage;
	set_limits(account->shares[0].limits, said);
	full = find_full(account, ACCOUNT_CONNECTIONS, 1);
	if (full)
		error = refuse(full, ACCOUNT_CONNECTIONS, now, refusal);
	if (!error && account->shares[0].limits[ACCOUNT_REQUESTS] != POLICY_LIMIT_NONE) {
		account->pace = accounts_pace(
			usage, account->shares[0].limits[ACCOUNT_REQUESTS], burst_of(said), now);
		error = account->pace ? 0 : -ENOMEM;
	}
	if (error) {
		accounts_put(account->accounts, usage, now);
		return error;
	}
	for (size_t i = 0; i < account->share_count; i++)
		usage_join(&account->shares[i]);
	add(account, ACCOUNT_CONNECTIONS, 1);
	return 0;
}

int accounts_open(struct accounts *accounts, uid_t uid, const struct policy_caller *caller,
	int socket, uint64_t now, struct account **result, struct account_refusal *refusal)
{
	struct account *account = new_account(accounts, caller);
	struct policy_limits said;
	int error;

	if (!account)
		return -ENOMEM;
	account->socket = socket;
	policy_caller_limits(caller, &said);
	accounts_lock(accounts);
	error = open_account(account, uid, &said, now, refusal);
	accounts_unlock(accounts);
	if (error)
		free(account);
	else
		*result = account;
	return error;
}

/* With the lock held. True where nobody has it any more. */
static bool let_go(struct account *account, uint64_t now)
{
	struct usage *usage = account->shares[0].usage;

	assert(account->references);
	if (--account->references)
		return false;
	for (int kind = 0; kind < ACCOUNT_KINDS; kind++)
		assert(account->taken[kind] == 0);
	for (size_t i = 0; i < account->share_count; i++)
		usage_leave(&account->shares[i]);
	accounts_put(account->accounts, usage, now);
	return true;
}

void account_close(struct account *account, uint64_t now)
{
	struct accounts *accounts = account->accounts;

	accounts_lock(accounts);
	subtract(account, ACCOUNT_CONNECTIONS, 1);
	subtract(account, ACCOUNT_DESCRIPTORS, delivery_forget(&account->delivery));
	account->socket = -1;
	bool last = let_go(account, now);
	accounts_unlock(accounts);
	if (last)
		free(account);
}

struct account *account_hold(struct account *account)
{
	accounts_lock(account->accounts);
	account->references++;
	accounts_unlock(account->accounts);
	return account;
}

void account_release(struct account *account, uint64_t now)
{
	struct accounts *accounts = account->accounts;

	accounts_lock(accounts);
	bool last = let_go(account, now);
	accounts_unlock(accounts);
	if (last)
		free(account);
}
