/* SPDX-License-Identifier: MIT */
/* What is counted against a naive model, and by several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounts.h"
#include "callers.h"
#include "defaults.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define NONE   POLICY_LIMIT_NONE

static struct account_refusal refusal;

/* ---- at random --------------------------------------------------------------------------------
 */

#define ACCOUNTS_MAX 60
#define UIDS	     4

struct model {
	struct account *account;
	uid_t uid;
	const struct policy_caller *caller;
	uint64_t taken[ACCOUNT_KINDS];
};

static uint64_t sum(const struct model *models, enum account_kind kind, uid_t uid, int subject)
{
	uint64_t total = 0;

	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		const struct model *model = &models[i];
		bool counts = model->account && subject < 0 && model->uid == uid;
		for (size_t s = 0; model->account && subject >= 0 && s < model->caller->count; s++)
			counts = counts || (int)model->caller->subjects[s].number == subject;
		total += counts ? model->taken[kind] : 0;
	}
	return total;
}

static uint32_t limit_of(const struct policy_limits *limits, enum account_kind kind, bool total)
{
	uint32_t said = kind == ACCOUNT_CONNECTIONS   ? limits->connections
			: kind == ACCOUNT_OPENS	      ? limits->opens
			: kind == ACCOUNT_DESCRIPTORS ? limits->descriptors
						      : 0;
	static const uint32_t defaults[] = {
		DEFAULT_CONNECTIONS, DEFAULT_OPENS, DEFAULT_DESCRIPTORS, DEFAULT_BYTES};

	return said ? said : total ? NONE : defaults[kind];
}

static bool naive_fits(const struct model *models, uid_t uid, const struct policy_caller *caller,
	enum account_kind kind, uint64_t n)
{
	uint32_t limit = limit_of(&caller->limits, kind, false);

	if (limit != NONE && sum(models, kind, uid, -1) + n > limit)
		return false;
	for (size_t s = 0; s < caller->count; s++) {
		limit = limit_of(&caller->subjects[s].totals, kind, true);
		int number = (int)caller->subjects[s].number;
		if (limit != NONE && sum(models, kind, 0, number) + n > limit)
			return false;
	}
	return true;
}

static const struct policy_caller random_callers[] = {
	{.limits = {.connections = 5, .opens = 9, .descriptors = NONE}},
	{.limits = {.connections = 9, .opens = NONE, .descriptors = 30},
		.count = 1,
		.subjects = {{0, {.connections = 12, .opens = 20}}}},
	{.limits = {.connections = NONE, .opens = 4},
		.count = 3,
		.subjects = {{0, {.connections = 12, .opens = 20}}, {1, {.descriptors = 50}},
			{2, {0}}}},
	{.limits = {0}},
};

static void random_step(struct accounts *accounts, struct model *models)
{
	struct model *model = &models[rand() % ACCOUNTS_MAX];
	const struct policy_caller *caller = &random_callers[rand() % 4];
	enum account_kind kind = 1 + (enum account_kind)rand() % 3;
	uid_t uid = (uid_t)rand() % UIDS;
	uint32_t n = (uint32_t)rand() % 8;

	if (kind == ACCOUNT_BYTES)
		n *= 70000;
	if (!model->account) {
		bool fits = naive_fits(models, uid, caller, ACCOUNT_CONNECTIONS, 1);
		int error = accounts_open(accounts, uid, caller, -1, 0, &model->account, &refusal);
		assert_int_equal(error, fits ? 0 : -EDQUOT);
		if (error)
			return;
		model->uid = uid;
		model->caller = caller;
		memset(model->taken, 0, sizeof(model->taken));
		model->taken[ACCOUNT_CONNECTIONS] = 1;
	} else if (rand() % 20 == 0) {
		for (int i = ACCOUNT_OPENS; i <= ACCOUNT_BYTES; i++)
			account_give_back(model->account, i, (uint32_t)model->taken[i]);
		account_close(model->account, 0);
		model->account = NULL;
	} else if (rand() % 3) {
		bool fits = naive_fits(models, model->uid, model->caller, kind, n);
		int error = account_take(model->account, kind, n, 0, &refusal);
		assert_int_equal(error, fits ? 0 : -EDQUOT);
		if (!error)
			model->taken[kind] += n;
	} else {
		if (n > model->taken[kind])
			n = (uint32_t)model->taken[kind];
		account_give_back(model->account, kind, n);
		model->taken[kind] -= n;
	}
}

static void test_random(void **state)
{
	static struct model models[ACCOUNTS_MAX];
	struct accounts *accounts = accounts_new(3);

	(void)state;
	srand(6);
	for (int i = 0; i < 200000; i++)
		random_step(accounts, models);
	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		if (!models[i].account)
			continue;
		for (int kind = ACCOUNT_OPENS; kind <= ACCOUNT_BYTES; kind++)
			account_give_back(models[i].account, kind, (uint32_t)models[i].taken[kind]);
		account_close(models[i].account, 0);
	}
	/* Which asserts that nothing is left. */
	accounts_free(accounts);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

#define THREADS 4

static const struct policy_caller shared_caller = {
	.limits = {.opens = 5, .descriptors = 30, .rate = 1000, .burst = 500},
	.count = 1,
	.subjects = {{0, {.opens = 8}}}};
static struct accounts *shared;
static _Atomic int opens[2], opens_total, passed;

static void *thread(void *argument)
{
	uid_t uid = (uid_t)(uintptr_t)argument % 2;
	struct account_refusal refused;
	struct account *account = NULL;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (int i = 0; i < 20000; i++) {
		if (i % 100 == 0)
			assert_int_equal(accounts_open(shared, uid, &shared_caller, pair[0], 0,
						 &account, &refused),
				0);
		if (account_take(account, ACCOUNT_OPENS, 1, 0, &refused) == 0) {
			assert_in_range(++opens[uid], 1, 5);
			assert_in_range(++opens_total, 1, 8);
			account_hold(account);
			opens[uid]--;
			opens_total--;
			account_give_back(account, ACCOUNT_OPENS, 1);
			account_release(account, 0);
		}
		if (account_take(account, ACCOUNT_DESCRIPTORS, 1, (uint64_t)i * 1000, &refused) ==
			0) {
			char byte = 1;
			assert_int_equal(send(pair[0], &byte, 1, 0), 1);
			account_sent(account, 1);
			assert_int_equal(recv(pair[1], &byte, 1, 0), 1);
		}
		passed += account_request(account, SECOND, &refused) == 0;
		if (i % 100 == 99)
			account_close(account, 0);
	}
	close(pair[0]);
	close(pair[1]);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	shared = accounts_new(1);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* Both uids had their burst, once, though they came and went; a second's worth was there from the start. */
	assert_int_equal(passed, 2 * 500);
	accounts_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("accounts-random", tests, NULL, NULL);
}
