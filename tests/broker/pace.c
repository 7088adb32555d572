/* SPDX-License-Identifier: MIT */
/* How often a uid may connect, by a clock that the test turns. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pace.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define BEGIN  (5 * SECOND)

static struct pace_answer take(struct pace *pace, uid_t uid, uint64_t now)
{
	struct pace_answer answer;

	pace_take(pace, uid, now, &answer);
	return answer;
}

/* Takes all that the uid has saved up. */
static void spend(struct pace *pace, uid_t uid, unsigned int count, uint64_t now)
{
	for (unsigned int i = 0; i < count; i++) {
		struct pace_answer answer = take(pace, uid, now);
		assert_false(answer.refused || answer.tell);
		assert_int_equal(answer.wait, 0);
	}
}

static void test_what_is_saved_up_passes_and_the_next_wait_in_turn(void **state)
{
	struct pace *pace = pace_new(100, 3);

	(void)state;
	spend(pace, 1, 100, BEGIN);
	for (unsigned int i = 1; i <= 3; i++)
		assert_int_equal(take(pace, 1, BEGIN).wait, i * 10 * MS);
	assert_true(take(pace, 1, BEGIN).refused);
	/* A refusal costs nothing: when one has had its turn there is room for one. */
	assert_int_equal(take(pace, 1, BEGIN + 10 * MS).wait, 30 * MS);
	assert_true(take(pace, 1, BEGIN + 10 * MS).refused);
	pace_free(pace);
}

static void test_one_uid_is_not_slowed_down_by_another(void **state)
{
	struct pace *pace = pace_new(100, 3);

	(void)state;
	spend(pace, 7, 100, BEGIN);
	assert_int_not_equal(take(pace, 7, BEGIN).wait, 0);
	/* Also of the same chain. */
	spend(pace, 7 + 256, 100, BEGIN);
	spend(pace, 8, 100, BEGIN);
	assert_int_not_equal(take(pace, 7, BEGIN).wait, 0);
	pace_free(pace);
}

static void test_time_gives_back_what_was_taken_and_no_more(void **state)
{
	struct pace *pace = pace_new(100, 3);

	(void)state;
	spend(pace, 1, 100, BEGIN);
	spend(pace, 1, 50, BEGIN + SECOND / 2);
	assert_int_equal(take(pace, 1, BEGIN + SECOND / 2).wait, 10 * MS);
	spend(pace, 1, 100, BEGIN + 1000 * SECOND);
	assert_int_equal(take(pace, 1, BEGIN + 1000 * SECOND).wait, 10 * MS);
	pace_free(pace);
}

static void test_at_its_rate_nobody_ever_waits(void **state)
{
	struct pace *pace = pace_new(1000, 1);

	(void)state;
	for (uint64_t i = 0; i < 100000; i++)
		assert_int_equal(take(pace, 1, BEGIN + i * MS).wait, 0);
	pace_free(pace);
}

static void test_it_is_told_once_in_a_while_with_what_was_refused(void **state)
{
	struct pace *pace = pace_new(100, 1);
	struct pace_answer answer;
	struct pace_news news;
	uint64_t now = BEGIN;

	(void)state;
	spend(pace, 1, 100, now);
	answer = take(pace, 1, now);
	assert_true(answer.tell);
	assert_int_equal(answer.news.uid, 1);
	assert_int_equal(answer.news.refusals, 0);
	assert_false(pace_next(pace, now + 2 * PACE_TELL, &news)); /* nobody was refused */
	for (int i = 0; i < 5; i++)
		assert_false(take(pace, 1, now).tell);
	/* Whether it comes again or not. */
	assert_int_equal(pace_due(pace), now + PACE_TELL);
	now += PACE_TELL - 1;
	assert_false(pace_next(pace, now, &news));
	/* It is remembered for that although all is paid. */
	(void)take(pace, 1 + 256, now);
	now += 1;
	assert_true(pace_next(pace, now, &news));
	assert_int_equal(news.uid, 1);
	assert_int_equal(news.refusals, 5);
	assert_false(pace_next(pace, now, &news));
	assert_int_equal(pace_due(pace), 0);
	/* And not told of again so soon. */
	spend(pace, 1, 100, now + SECOND);
	assert_false(take(pace, 1, now + SECOND).tell);
	spend(pace, 1, 100, now + PACE_TELL);
	assert_true(take(pace, 1, now + PACE_TELL).tell);
	pace_free(pace);
}

static void test_many_uids_do_not_fill_the_record(void **state)
{
	struct pace *pace = pace_new(1, 1);
	uint64_t now = BEGIN + PACE_TELL;
	uint32_t lines = 0, others = 0;

	(void)state;
	for (int round = 0; round < 3; round++, now += PACE_TELL)
		for (uid_t uid = 0; uid < 1000; uid++) {
			spend(pace, uid, 1, now);
			struct pace_answer answer = take(pace, uid, now);
			lines += answer.tell;
			others += answer.news.others * answer.tell;
		}
	assert_int_equal(lines, 3 * PACE_LINES);
	assert_int_equal(others, 2 * (1000 - PACE_LINES));
	pace_free(pace);
}

static void test_nobody_waits_for_long(void **state)
{
	struct pace *pace = pace_new(4, 64);

	(void)state;
	spend(pace, 1, 4, BEGIN);
	for (unsigned int i = 1; i <= 4; i++)
		assert_int_equal(take(pace, 1, BEGIN).wait, i * SECOND / 4);
	assert_true(take(pace, 1, BEGIN).refused);
	pace_free(pace);
}

static void test_many_uids_leave_nothing_behind(void **state)
{
	struct pace *pace = pace_new(1, 1);

	(void)state;
	/* What is over is removed by the next of its chain. */
	for (uid_t uid = 0; uid < 1000; uid++)
		(void)take(pace, uid, BEGIN);
	size_t before = mallinfo2().uordblks;
	for (uid_t uid = 1000; uid < 1000000; uid++)
		(void)take(pace, uid, BEGIN + uid * SECOND);
	assert_true(mallinfo2().uordblks <= before);
	pace_free(pace);
	pace_free(NULL);
}

static void test_the_largest_rate(void **state)
{
	struct pace *pace = pace_new(1000000000, 64);

	(void)state;
	spend(pace, 1, 100000, BEGIN);
	pace_free(pace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_saved_up_passes_and_the_next_wait_in_turn),
		cmocka_unit_test(test_one_uid_is_not_slowed_down_by_another),
		cmocka_unit_test(test_time_gives_back_what_was_taken_and_no_more),
		cmocka_unit_test(test_at_its_rate_nobody_ever_waits),
		cmocka_unit_test(test_it_is_told_once_in_a_while_with_what_was_refused),
		cmocka_unit_test(test_many_uids_do_not_fill_the_record),
		cmocka_unit_test(test_nobody_waits_for_long),
		cmocka_unit_test(test_many_uids_leave_nothing_behind),
		cmocka_unit_test(test_the_largest_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
