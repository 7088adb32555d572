/* SPDX-License-Identifier: MIT */
/* Repeated denials: which get a line, which are counted, and that every one of them is the one or the other. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sums.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char no_rule[] = "no rule";
static const struct policy_rule_place rules[SUMS_KINDS + 8];

static struct sums_kind kind(unsigned int rule)
{
	return (struct sums_kind){.denied = true,
		.error = EACCES,
		.rights = POLICY_READ,
		.rule = &rules[rule],
		.reason = no_rule,
		.subject = "s"};
}

static unsigned int admitted(
	struct sums *sums, int64_t now, uid_t uid, unsigned int rule, unsigned int times)
{
	struct sums_kind one = kind(rule);
	unsigned int lines = 0;

	while (times--)
		lines += sums_admit(sums, now, uid, &one, 100);
	return lines;
}

static void test_first_ones(void **state)
{
	struct sums *sums = sums_new();
	struct sums_total total;

	(void)state;
	assert_int_equal(sums_due(sums), INT64_MAX);
	/* As many as get lines: there is nothing to tell. */
	assert_int_equal(admitted(sums, 1000, 5001, 0, SUMS_FIRST), SUMS_FIRST);
	assert_int_equal(sums_due(sums), INT64_MAX);
	assert_false(sums_take(sums, INT64_MAX, &total));
	assert_int_equal(admitted(sums, 3000, 5001, 0, 40), 0);
	/* The window began with the first denial, not with the first that was counted. */
	assert_int_equal(sums_due(sums), 1000 + SUMS_WINDOW);
	assert_false(sums_take(sums, 1000 + SUMS_WINDOW - 1, &total));
	assert_true(sums_take(sums, 1000 + SUMS_WINDOW, &total));
	assert_int_equal(total.uid, 5001);
	assert_int_equal(total.repeated, 40);
	assert_ptr_equal(total.kind.rule, &rules[0]);
	assert_ptr_equal(total.kind.reason, no_rule);
	assert_int_equal(total.kind.rights, POLICY_READ);
	assert_int_equal(total.kind.error, EACCES);
	assert_true(total.kind.denied);
	assert_string_equal(total.kind.subject, "s");
	assert_false(sums_take(sums, 1000 + SUMS_WINDOW, &total));
	assert_int_equal(sums_due(sums), INT64_MAX);
	/* Then it begins anew. */
	assert_int_equal(admitted(sums, 1000 + SUMS_WINDOW, 5001, 0, 40), SUMS_FIRST);
	sums_free(sums);
}

static void test_kinds_are_apart(void **state)
{
	struct sums *sums = sums_new();
	struct sums_kind changed[5];

	(void)state;
	assert_int_equal(admitted(sums, 0, 5001, 0, 10), SUMS_FIRST);
	for (size_t i = 0; i < 5; i++)
		changed[i] = kind(0);
	changed[0].rights = POLICY_WRITE;
	changed[1].reason = "another";
	changed[2].error = EINVAL;
	changed[3].denied = false;
	changed[4].rule = NULL;
	for (size_t i = 0; i < 5; i++)
		assert_true(sums_admit(sums, 0, 5001, &changed[i], 100));
	assert_int_equal(admitted(sums, 0, 5002, 0, 10), SUMS_FIRST);
	sums_free(sums);
}

/* Late is as good as in time: what is denied between the end of the window and the telling is told along. */
static void test_told_late(void **state)
{
	struct sums *sums = sums_new();
	struct sums_total total;

	(void)state;
	admitted(sums, 0, 5001, 0, 10);
	assert_int_equal(admitted(sums, 50000, 5001, 0, 10), 0);
	assert_true(sums_take(sums, 50000, &total));
	assert_int_equal(total.repeated, 15);
	assert_int_equal(admitted(sums, 50001, 5001, 0, 10), SUMS_FIRST);
	sums_free(sums);
}

/* Whoever has many ways to be denied gets no more lines by it. */
static void test_many_kinds(void **state)
{
	struct sums *sums = sums_new();
	struct sums_total total;
	uint64_t lines = 0, repeated = 0, numbers = 0;

	(void)state;
	for (unsigned int round = 0; round < 100; round++)
		for (unsigned int rule = 0; rule < SUMS_KINDS + 8; rule++)
			lines += admitted(sums, 0, 5001, rule, 1);
	assert_int_equal(lines, SUMS_FIRST * SUMS_KINDS);
	while (sums_take(sums, SUMS_WINDOW, &total)) {
		repeated += total.repeated;
		numbers++;
		if (!total.kind.reason)
			assert_int_equal(total.repeated, 800);
	}
	assert_int_equal(numbers, SUMS_KINDS + 1);
	assert_int_equal(lines + repeated, 100 * (SUMS_KINDS + 8));
	sums_free(sums);
}

static void test_long_lines(void **state)
{
	struct sums *sums = sums_new();
	struct sums_kind one = kind(0), other = kind(1);

	(void)state;
	/* The first is written in any case, and is then all there is. */
	assert_true(sums_admit(sums, 0, 5001, &one, 2 * SUMS_BYTES));
	assert_false(sums_admit(sums, 0, 5001, &one, 1));
	assert_false(sums_admit(sums, 0, 5001, &other, 1));
	assert_true(sums_admit(sums, 0, 5002, &one, SUMS_BYTES - 1));
	assert_true(sums_admit(sums, 0, 5002, &one, 1));
	assert_false(sums_admit(sums, 0, 5002, &one, 1));
	sums_free(sums);
}

/* Whoever has many uids gets no more memory, and no more lines than so many. */
static void test_many_uids(void **state)
{
	struct sums *sums = sums_new();
	struct sums_total total;
	uint64_t lines = 0, repeated = 0;
	bool everybody = false;

	(void)state;
	for (uid_t uid = 0; uid < 1000; uid++)
		lines += admitted(sums, 0, uid, 0, 7);
	assert_int_equal(lines, SUMS_FIRST * SUMS_UIDS);
	assert_int_equal(sums_due(sums), SUMS_WINDOW);
	while (sums_take(sums, SUMS_WINDOW, &total)) {
		repeated += total.repeated;
		if (total.uid == SUMS_EVERYBODY) {
			everybody = true;
			assert_int_equal(total.repeated, 7 * (1000 - SUMS_UIDS));
		}
	}
	assert_true(everybody);
	assert_int_equal(lines + repeated, 7000);
	/* Those whose time is over make room, told or with nothing to tell. */
	assert_int_equal(admitted(sums, SUMS_WINDOW, 2000, 0, 1), 1);
	sums_free(sums);
}

#define THREADS 4
#define TIMES	50000

static struct sums *shared;
static _Atomic uint64_t written, told;

static void *deny(void *argument)
{
	struct sums_total total;

	for (int64_t i = 0; i < TIMES; i++) {
		struct sums_kind one = kind((unsigned int)(i % 3));

		written += sums_admit(shared, i, *(uid_t *)argument + (uid_t)(i % 2), &one, 100);
		if (i >= sums_due(shared))
			while (sums_take(shared, i, &total))
				told += total.repeated;
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	uid_t uid = 5001;
	struct sums_total total;

	(void)state;
	shared = sums_new();
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, deny, &uid), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (sums_take(shared, INT64_MAX, &total))
		told += total.repeated;
	assert_int_equal(written + told, THREADS * TIMES);
	assert_true(written < THREADS * TIMES / 100);
	sums_free(shared);
}

/* Whatever many callers do, there is room for what the daemon itself fails in. */
static void test_the_daemons_own(void **state)
{
	struct sums *sums = sums_new();
	struct sums_kind own = {.own = true, .error = ENFILE, .reason = no_rule}, other = own;
	struct sums_total total;
	unsigned int lines = 0, numbers = 0;

	(void)state;
	other.error = ENOMEM;
	for (uid_t uid = 0; uid < SUMS_UIDS + 10; uid++)
		admitted(sums, 1000, uid, 0, 1);
	for (int i = 0; i < 40; i++)
		lines += sums_admit(sums, 1000, 0, &own, 100) +
			 sums_admit(sums, 1000, 7, &other, 100);
	assert_int_equal(lines, 2 * SUMS_FIRST);
	while (sums_take(sums, 1000 + SUMS_WINDOW, &total)) {
		if (!total.kind.own)
			continue;
		numbers++;
		assert_int_equal(total.repeated, 40 - SUMS_FIRST);
		assert_true(total.kind.error == ENFILE || total.kind.error == ENOMEM);
	}
	assert_int_equal(numbers, 2);
	/* It begins anew. */
	assert_true(sums_admit(sums, 2000 + SUMS_WINDOW, 0, &own, 100));
	/* More kinds than are told apart are still its own. */
	for (int i = 1; i <= SUMS_KINDS + 5; i++) {
		own.error = i;
		sums_admit(sums, 2000 + SUMS_WINDOW, 0, &own, 100);
	}
	assert_true(sums_take(sums, INT64_MAX, &total));
	assert_true(total.kind.own);
	assert_int_equal(total.kind.error, 0);
	assert_int_equal(total.repeated, 6);
	sums_free(sums);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_ones),
		cmocka_unit_test(test_kinds_are_apart),
		cmocka_unit_test(test_told_late),
		cmocka_unit_test(test_many_kinds),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_many_uids),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_the_daemons_own),
	};

	return cmocka_run_group_tests_name("sums", tests, NULL, NULL);
}
