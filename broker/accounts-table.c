/* SPDX-License-Identifier: MIT */
#include "accounts-table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define CHAINS 1024

/*
 * A uid without connections is not forgotten at once: else whoever closes its connection and connects again
 * would have a full bucket each time, and be told of each time. It takes a few seconds, and whoever comes and
 * goes meanwhile looks whether others can go.
 */
#define SWEEP 2

struct accounts {
	pthread_mutex_t lock;
	struct usage idle; /* head of a circular list */
	struct usage *chains[CHAINS];
	size_t subjects;
	struct usage totals[];
};

struct accounts *accounts_new(size_t subjects)
{
	struct accounts *accounts =
		calloc(1, sizeof(*accounts) + subjects * sizeof(accounts->totals[0]));

	if (!accounts)
		return NULL;
	pthread_mutex_init(&accounts->lock, NULL);
	accounts->idle.idle_previous = accounts->idle.idle_next = &accounts->idle;
	accounts->subjects = subjects;
	for (size_t i = 0; i < subjects; i++) {
		accounts->totals[i].total = true;
		accounts->totals[i].subject = (uint32_t)i;
	}
	return accounts;
}

void accounts_lock(struct accounts *accounts)
{
	pthread_mutex_lock(&accounts->lock);
}

void accounts_unlock(struct accounts *accounts)
{
	pthread_mutex_unlock(&accounts->lock);
}

struct usage *accounts_total(struct accounts *accounts, uint32_t subject)
{
	assert(subject < accounts->subjects);
	return &accounts->totals[subject];
}

/* ---- those without connections ----------------------------------------------------------------
 */

static void idle_add(struct accounts *accounts, struct usage *usage)
{
	usage->idle_previous = accounts->idle.idle_previous;
	usage->idle_next = &accounts->idle;
	usage->idle_previous->idle_next = usage;
	accounts->idle.idle_previous = usage;
}

static void idle_remove(struct usage *usage)
{
	if (!usage->idle_next)
		return;
	usage->idle_previous->idle_next = usage->idle_next;
	usage->idle_next->idle_previous = usage->idle_previous;
	usage->idle_previous = usage->idle_next = NULL;
}

static void assert_zero(const struct usage *usage)
{
	assert(!usage->shares && !usage->share_count);
	for (int kind = 0; kind < ACCOUNT_KINDS; kind++)
		assert(usage->counters[kind].used == 0);
	(void)usage;
}

static struct usage **find_link(struct accounts *accounts, uid_t uid)
{
	/* Knuth's multiplicative hash: uids come in ranges. */
	struct usage **link = &accounts->chains[(uid * 2654435761u) >> 22];

	while (*link && (*link)->uid != uid)
		link = &(*link)->next;
	return link;
}

static void forget(struct accounts *accounts, struct usage *usage)
{
	assert_zero(usage);
	idle_remove(usage);
	*find_link(accounts, usage->uid) = usage->next;
	for (struct pace *pace = usage->paces, *next; pace; pace = next) {
		next = pace->next;
		free(pace);
	}
	free(usage);
}

/* Whether a new usage would be the same. */
static bool is_rested(struct usage *usage, uint64_t now)
{
	for (struct pace *pace = usage->paces; pace; pace = pace->next)
		if (bucket_tokens(&pace->bucket, now) < pace->bucket.burst)
			return false;
	for (int kind = 0; kind < ACCOUNT_KINDS; kind++) {
		const struct counter *counter = &usage->counters[kind];
		if (counter->ever_told &&
			(now < counter->told_at || now - counter->told_at < ACCOUNT_TELL_EVERY))
			return false;
	}
	return true;
}

static void sweep(struct accounts *accounts, uint64_t now)
{
	for (int i = 0; i < SWEEP && accounts->idle.idle_next != &accounts->idle; i++) {
		struct usage *usage = accounts->idle.idle_next;
		if (is_rested(usage, now)) {
			forget(accounts, usage);
		} else {
			idle_remove(usage);
			idle_add(accounts, usage);
		}
	}
}

void accounts_free(struct accounts *accounts)
{
	if (!accounts)
		return;
	while (accounts->idle.idle_next != &accounts->idle)
		forget(accounts, accounts->idle.idle_next);
	for (size_t i = 0; i < CHAINS; i++)
		assert(!accounts->chains[i]);
	for (size_t i = 0; i < accounts->subjects; i++)
		assert_zero(&accounts->totals[i]);
	pthread_mutex_destroy(&accounts->lock);
	free(accounts);
}

/* ---- the table --------------------------------------------------------------------------------
 */

struct usage *accounts_find(struct accounts *accounts, uid_t uid, uint64_t now)
{
	struct usage **link = find_link(accounts, uid);

	if (*link) {
		idle_remove(*link);
		return *link;
	}
	sweep(accounts, now);
	/* What was swept away may be where `link` was. */
	link = find_link(accounts, uid);
	*link = calloc(1, sizeof(**link));
	if (*link)
		(*link)->uid = uid;
	return *link;
}

void accounts_put(struct accounts *accounts, struct usage *usage, uint64_t now)
{
	if (usage->shares)
		return;
	assert_zero(usage);
	idle_add(accounts, usage);
	sweep(accounts, now);
}

struct pace *accounts_pace(struct usage *usage, uint32_t rate, uint32_t burst, uint64_t now)
{
	struct pace *pace = usage->paces;

	while (pace && (pace->bucket.rate != rate || pace->bucket.burst != burst))
		pace = pace->next;
	if (pace)
		return pace;
	pace = calloc(1, sizeof(*pace));
	if (!pace)
		return NULL;
	bucket_init(&pace->bucket, rate, burst, now);
	pace->next = usage->paces;
	usage->paces = pace;
	return pace;
}

void usage_join(struct share *share)
{
	struct usage *usage = share->usage;

	share->previous = NULL;
	share->next = usage->shares;
	if (share->next)
		share->next->previous = share;
	usage->shares = share;
	usage->share_count++;
}

void usage_leave(struct share *share)
{
	struct usage *usage = share->usage;

	if (share->previous)
		share->previous->next = share->next;
	else
		usage->shares = share->next;
	if (share->next)
		share->next->previous = share->previous;
	usage->share_count--;
}
