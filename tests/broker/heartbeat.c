/* SPDX-License-Identifier: MIT */
/* When a worker is asked and when it is given up, by a clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heartbeat.h"

static void test_one_that_answers_is_asked_again_and_again(void **state)
{
	struct heartbeat beat;
	int64_t now = 1000;

	(void)state;
	heartbeat_start(&beat, 0, now);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(heartbeat_wait(&beat, now), HEARTBEAT_PAUSE);
		now += HEARTBEAT_PAUSE - 1;
		assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_NONE);
		assert_false(heartbeat_answered(&beat, now)); /* to what? */
		now++;
		assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_ASK);
		assert_false(heartbeat_answered(&beat, now)); /* before it could have heard */
		heartbeat_asked(&beat);
		assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_NONE);
		assert_int_equal(heartbeat_wait(&beat, now), HEARTBEAT_PATIENCE);
		now += HEARTBEAT_PATIENCE - 1;
		assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_NONE);
		assert_true(heartbeat_answered(&beat, now));
		assert_false(heartbeat_answered(&beat, now));
	}
}

static void test_one_that_is_silent_is_given_up(void **state)
{
	struct heartbeat beat;
	int64_t now = 1000;

	(void)state;
	heartbeat_start(&beat, 0, now);
	now += HEARTBEAT_PAUSE;
	assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_ASK);
	heartbeat_asked(&beat);
	assert_int_equal(heartbeat_turn(&beat, now + HEARTBEAT_PATIENCE), HEARTBEAT_LATE);
	heartbeat_stop(&beat);
	assert_int_equal(heartbeat_turn(&beat, now + 10 * HEARTBEAT_PATIENCE), HEARTBEAT_NONE);
	assert_int_equal(heartbeat_wait(&beat, now), -1);
}

/* The channel is full: it does not read what it is told either. */
static void test_one_that_cannot_even_be_asked_is_given_up(void **state)
{
	struct heartbeat beat;
	int64_t now = 1000 + HEARTBEAT_PAUSE;

	(void)state;
	heartbeat_start(&beat, 0, 1000);
	assert_int_equal(heartbeat_turn(&beat, now), HEARTBEAT_ASK);
	assert_int_equal(heartbeat_wait(&beat, now), 100);
	assert_int_equal(heartbeat_turn(&beat, now + 100), HEARTBEAT_ASK);
	assert_int_equal(heartbeat_turn(&beat, now + HEARTBEAT_PATIENCE), HEARTBEAT_LATE);
}

static void test_a_watchdog_shortens_the_times_only(void **state)
{
	struct heartbeat beat;

	(void)state;
	heartbeat_start(&beat, 1000, 5);
	assert_int_equal(beat.patience, 1000);
	assert_true(beat.pause <= 501);
	heartbeat_start(&beat, 3600000, 5);
	assert_int_equal(beat.patience, HEARTBEAT_PATIENCE);
	assert_int_equal(beat.pause, HEARTBEAT_PAUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_answers_is_asked_again_and_again),
		cmocka_unit_test(test_one_that_is_silent_is_given_up),
		cmocka_unit_test(test_one_that_cannot_even_be_asked_is_given_up),
		cmocka_unit_test(test_a_watchdog_shortens_the_times_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
