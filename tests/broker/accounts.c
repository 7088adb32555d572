/* SPDX-License-Identifier: MIT */
/* What each uid has, and what it may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounts.h"
#include "callers.h"
#include "defaults.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define NONE   POLICY_LIMIT_NONE

static const struct policy_caller nobody;
static struct account_refusal refusal;

static struct account *open_one(
	struct accounts *accounts, uid_t uid, const struct policy_caller *caller)
{
	struct account *account;

	assert_int_equal(accounts_open(accounts, uid, caller, -1, 0, &account, &refusal), 0);
	return account;
}

/* As many as there is room for, one by one; gives them back. */
static uint32_t room(struct account *account, enum account_kind kind)
{
	uint32_t count = 0;

	while (account_take(account, kind, 1, 0, &refusal) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		account_give_back(account, kind, 1);
	return count;
}

static uint32_t room_for_connections(
	struct accounts *accounts, uid_t uid, const struct policy_caller *caller)
{
	static struct account *opened[1000];
	uint32_t count = 0;

	while (accounts_open(accounts, uid, caller, -1, 0, &opened[count], &refusal) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		account_close(opened[i], 0);
	return count;
}

static void test_defaults(void **state)
{
	struct accounts *accounts = accounts_new(0);

	(void)state;
	assert_int_equal(room_for_connections(accounts, 1, &nobody), DEFAULT_CONNECTIONS);
	struct account *account = open_one(accounts, 1, &nobody);
	assert_int_equal(room_for_connections(accounts, 1, &nobody), DEFAULT_CONNECTIONS - 1);
	assert_int_equal(room(account, ACCOUNT_OPENS), DEFAULT_OPENS);
	assert_int_equal(room(account, ACCOUNT_DESCRIPTORS), DEFAULT_DESCRIPTORS);
	assert_int_equal(account_take(account, ACCOUNT_BYTES, DEFAULT_BYTES, 0, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_BYTES, 1, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.value, DEFAULT_BYTES);
	account_give_back(account, ACCOUNT_BYTES, DEFAULT_BYTES);
	for (uint32_t i = 0; i < DEFAULT_BURST; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	assert_int_equal(account_request(account, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.wait, SECOND / DEFAULT_RATE);
	account_close(account, 0);
	accounts_free(accounts);
}

/* The connections of a uid count together; other uids, also those with the same hash, have their own. */
static void test_each_uid_its_own(void **state)
{
	static struct account *all[3][6000];
	struct policy_caller caller = {.limits = {.connections = 2, .opens = 3}};
	struct accounts *accounts = accounts_new(0);
	struct account *more;

	(void)state;
	for (uid_t uid = 0; uid < 6000; uid++) {
		all[0][uid] = open_one(accounts, uid, &caller);
		all[1][uid] = open_one(accounts, uid * 65536u + 7000, &nobody);
		all[2][uid] = open_one(accounts, uid, &caller);
	}
	for (uid_t uid = 6000; uid-- > 0;) {
		assert_int_equal(
			accounts_open(accounts, uid, &caller, -1, 0, &more, &refusal), -EDQUOT);
		assert_int_equal(refusal.uid, uid);
		assert_int_equal(account_take(all[0][uid], ACCOUNT_OPENS, 2, 0, &refusal), 0);
		assert_int_equal(account_take(all[2][uid], ACCOUNT_OPENS, 2, 0, &refusal), -EDQUOT);
		assert_int_equal(refusal.value, 2);
		assert_int_equal(account_take(all[2][uid], ACCOUNT_OPENS, 1, 0, &refusal), 0);
		account_give_back(all[0][uid], ACCOUNT_OPENS, 2);
		account_close(all[0][uid], 0);
		account_close(all[1][uid], 0);
	}
	for (uid_t uid = 0; uid < 6000; uid++) {
		account_give_back(all[2][uid], ACCOUNT_OPENS, 1);
		account_close(all[2][uid], 0);
	}
	accounts_free(accounts);
}

static void test_all_or_nothing(void **state)
{
	struct policy_caller caller = {.limits = {.opens = 10}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 11, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 10, 0, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, 0, &refusal), -EDQUOT);
	account_give_back(account, ACCOUNT_OPENS, 1);
	assert_int_equal(room(account, ACCOUNT_OPENS), 1);
	account_give_back(account, ACCOUNT_OPENS, 9);
	account_close(account, 0);
	accounts_free(accounts);
}

static void test_none(void **state)
{
	struct policy_caller caller = {.limits = {NONE, NONE, 0, NONE, NONE}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), 0);
		assert_int_equal(
			account_take(account, ACCOUNT_DESCRIPTORS, UINT32_MAX, 0, &refusal), 0);
	}
	for (int i = 0; i < 3; i++) {
		account_give_back(account, ACCOUNT_OPENS, UINT32_MAX);
		account_give_back(account, ACCOUNT_DESCRIPTORS, UINT32_MAX);
	}
	for (int i = 0; i < 2 * DEFAULT_BURST; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	account_close(account, 0);
	accounts_free(accounts);
}

/* A total bounds the callers of one subject together, and whoever is not one of them is left alone. */
static void test_totals(void **state)
{
	const struct policy_caller both = {.limits = {.opens = 6},
		.count = 3,
		.subjects = {{2, {.opens = 8, .connections = 4}}, {0, {0}}, {1, {.opens = NONE}}}};
	struct accounts *accounts = accounts_new(3);
	struct account *one = open_one(accounts, 1, &both), *other = open_one(accounts, 2, &both);
	struct account *stranger = open_one(accounts, 3, &nobody);

	(void)state;
	assert_int_equal(account_take(one, ACCOUNT_OPENS, 6, 0, &refusal), 0);
	assert_int_equal(account_take(one, ACCOUNT_OPENS, 1, 0, &refusal), -EDQUOT);
	/* Its own is the first that it meets; the other meets the subject's. */
	assert_false(refusal.total);
	assert_int_equal(refusal.limit, 6);
	assert_int_equal(account_take(other, ACCOUNT_OPENS, 3, 0, &refusal), -EDQUOT);
	assert_true(refusal.total && refusal.subject == 2 && refusal.uid == 2);
	assert_int_equal(refusal.limit, 8);
	assert_int_equal(refusal.value, 6);
	/* What was refused was not counted in part. */
	assert_int_equal(room(other, ACCOUNT_OPENS), 2);
	assert_int_equal(room(stranger, ACCOUNT_OPENS), DEFAULT_OPENS);
	assert_int_equal(room_for_connections(accounts, 9, &both), 2);
	assert_int_equal(room(other, ACCOUNT_DESCRIPTORS), DEFAULT_DESCRIPTORS);
	account_give_back(one, ACCOUNT_OPENS, 6);
	account_close(one, 0);
	assert_int_equal(room_for_connections(accounts, 9, &both), 3);
	account_close(other, 0);
	account_close(stranger, 0);
	accounts_free(accounts);
}

/* Connections of one uid with different limits: each is measured by its own, all count. */
static void test_different_limits_of_one_uid(void **state)
{
	const struct policy_caller few = {.limits = {.opens = 2, .rate = 1, .burst = 3}};
	const struct policy_caller many = {.limits = {.opens = 10, .rate = 1, .burst = 5}};
	struct accounts *accounts = accounts_new(0);
	struct account *a = open_one(accounts, 1, &few), *b = open_one(accounts, 1, &many);
	struct account *c = open_one(accounts, 1, &few);

	(void)state;
	assert_int_equal(account_take(b, ACCOUNT_OPENS, 2, 0, &refusal), 0);
	assert_int_equal(room(a, ACCOUNT_OPENS), 0);
	assert_int_equal(room(b, ACCOUNT_OPENS), 8);
	account_give_back(b, ACCOUNT_OPENS, 2);
	/* Those with the same rate share a bucket. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(account_request(i % 2 ? a : c, 0, &refusal), 0);
	assert_int_equal(account_request(a, 0, &refusal), -EDQUOT);
	assert_int_equal(account_request(c, 0, &refusal), -EDQUOT);
	assert_int_equal(account_request(b, 0, &refusal), 0);
	account_close(a, 0);
	account_close(b, 0);
	account_close(c, 0);
	accounts_free(accounts);
}

/* Connecting again is no way to a fresh bucket, nor to another line in the record. */
static void test_connecting_again(void **state)
{
	const struct policy_caller caller = {.limits = {.rate = 10, .burst = 10}};
	struct accounts *accounts = accounts_new(0);
	uint64_t now = 50 * SECOND;
	int told = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct account *account;
		assert_int_equal(
			accounts_open(accounts, 1, &caller, -1, now, &account, &refusal), 0);
		assert_int_equal(account_request(account, now, &refusal), 0);
		account_close(account, now);
	}
	for (int i = 0; i < 3000; i++) {
		struct account *account;
		int passed = 0;
		now += SECOND / 100 * 15;
		assert_int_equal(
			accounts_open(accounts, 1, &caller, -1, now, &account, &refusal), 0);
		while (account_request(account, now, &refusal) == 0)
			passed++;
		told += refusal.first;
		assert_in_range(passed, 1, 2);
		account_close(account, now);
	}
	/* The bucket was never half full. */
	assert_int_equal(told, 1);
	accounts_free(accounts);
}

/* A bucket that is full again at once is no way to fill the record either. */
static void test_connecting_again_and_again(void **state)
{
	const struct policy_caller caller = {.limits = {.rate = 1000, .burst = 1}};
	struct accounts *accounts = accounts_new(0);
	int told = 0;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		struct account *account;
		uint64_t now = (uint64_t)i * (SECOND / 1000);
		/* Another, who comes between, looks whether this one can be forgotten. */
		account_close(open_one(accounts, 2, &nobody), now);
		assert_int_equal(
			accounts_open(accounts, 1, &caller, -1, now, &account, &refusal), 0);
		assert_int_equal(account_request(account, now, &refusal), 0);
		assert_int_equal(account_request(account, now, &refusal), -EDQUOT);
		told += refusal.first;
		account_close(account, now);
	}
	/* 30 s. */
	assert_int_equal(told, 3);
	accounts_free(accounts);
}

/* Who has been gone for a while is forgotten, as others come and go. */
static void test_forgetting(void **state)
{
	const struct policy_caller caller = {.limits = {.opens = 1}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);
	uint64_t now = 0;

	(void)state;
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(account_take(account, ACCOUNT_OPENS, 2, now, &refusal), -EDQUOT);
		assert_int_equal(refusal.refusals, i ? i : 1);
	}
	account_close(account, now);
	for (uid_t uid = 2; uid < 5; uid++)
		account_close(open_one(accounts, uid, &caller), now += ACCOUNT_TELL_EVERY);
	account = open_one(accounts, 1, &caller);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 2, now, &refusal), -EDQUOT);
	assert_int_equal(refusal.refusals, 1);
	account_close(account, now);
	accounts_free(accounts);
}

static void test_rate_without_a_burst(void **state)
{
	const struct policy_caller caller = {.limits = {.rate = 7}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	for (int i = 0; i < 7; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	assert_int_equal(account_request(account, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.limit, 7);
	assert_string_equal(account_kind_name(refusal.kind), "rate");
	account_close(account, 0);
	accounts_free(accounts);
}

/* Told of once; then only counted, until no more than half was taken, and not before some time has gone by. */
static void test_telling(void **state)
{
	const struct policy_caller caller = {.limits = {.opens = 4}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);
	uint64_t now = 0;

	(void)state;
	for (int i = 1; i <= 4; i++)
		assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 1);
	assert_string_equal(account_kind_name(refusal.kind), "opens");
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
		assert_true(!refusal.first && refusal.refusals == i);
	}
	/* One below, later: nothing new. */
	now += 2 * ACCOUNT_TELL_EVERY;
	account_give_back(account, ACCOUNT_OPENS, 1);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
	assert_true(!refusal.first && refusal.refusals == 100);
	/* Down to half of it: something new. */
	account_give_back(account, ACCOUNT_OPENS, 2);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 3, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 101);
	/* Again, but too soon; the next one after that time is told of. */
	account_give_back(account, ACCOUNT_OPENS, 2);
	now += ACCOUNT_TELL_EVERY - 1;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 5, now, &refusal), -EDQUOT);
	assert_true(!refusal.first && refusal.refusals == 1);
	now++;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 5, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 2);
	/* Another kind has its own. */
	assert_int_equal(account_take(account, ACCOUNT_BYTES, UINT32_MAX, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 1);
	account_close(account, 0);
	accounts_free(accounts);
}

/* A reference keeps what was taken counted after the end of the connection. */
static void test_holding(void **state)
{
	const struct policy_caller caller = {.limits = {.opens = 4, .connections = 2}};
	struct accounts *accounts = accounts_new(0);
	struct account *hung = open_one(accounts, 1, &caller);

	(void)state;
	assert_int_equal(account_take(hung, ACCOUNT_OPENS, 3, 0, &refusal), 0);
	account_hold(hung);
	account_close(hung, 0);
	struct account *next = open_one(accounts, 1, &caller);
	assert_int_equal(room(next, ACCOUNT_OPENS), 1);
	assert_int_equal(room_for_connections(accounts, 1, &caller), 1);
	account_give_back(hung, ACCOUNT_OPENS, 3);
	account_release(hung, 0);
	assert_int_equal(room(next, ACCOUNT_OPENS), 4);
	account_close(next, 0);
	accounts_free(accounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_each_uid_its_own),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_different_limits_of_one_uid),
		cmocka_unit_test(test_connecting_again),
		cmocka_unit_test(test_connecting_again_and_again),
		cmocka_unit_test(test_forgetting),
		cmocka_unit_test(test_rate_without_a_burst),
		cmocka_unit_test(test_telling),
		cmocka_unit_test(test_holding),
	};

	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
