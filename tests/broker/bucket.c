/* SPDX-License-Identifier: MIT */
/* Token buckets: never more than burst + rate * time, whatever the numbers are and whatever the clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bucket.h"

#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define YEAR   (365 * 24 * 3600 * SECOND)

static unsigned int drain(struct bucket *bucket, uint64_t now)
{
	unsigned int count = 0;

	while (bucket_take(bucket, now))
		count++;
	return count;
}

static void test_burst_and_rate(void **state)
{
	struct bucket bucket;
	uint64_t now = 5 * SECOND;

	(void)state;
	bucket_init(&bucket, 100, 20, now);
	assert_int_equal(bucket_wait(&bucket, now), 0);
	assert_int_equal(drain(&bucket, now), 20);
	assert_int_equal(bucket_wait(&bucket, now), SECOND / 100);
	assert_false(bucket_take(&bucket, now + SECOND / 100 - 1));
	assert_int_equal(bucket_wait(&bucket, now + SECOND / 100 - 1), 1);
	assert_true(bucket_take(&bucket, now + SECOND / 100));
	assert_int_equal(drain(&bucket, now + SECOND / 10), 9);
	/* No more than the burst is saved. */
	assert_int_equal(bucket_tokens(&bucket, now + 10 * SECOND), 20);
	assert_int_equal(drain(&bucket, now + 10 * SECOND), 20);
}

/* Small steps add up: nothing is lost to rounding. */
static void test_small_steps(void **state)
{
	struct bucket bucket;
	uint64_t now = 0;
	unsigned int count = 0;

	(void)state;
	bucket_init(&bucket, 3, 1, now);
	assert_true(bucket_take(&bucket, now));
	for (int i = 0; i < 1000000; i++) {
		now += 10007;
		count += bucket_take(&bucket, now);
	}
	/* 10.007 s. */
	assert_int_equal(count, 30);
}

static void test_extremes(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 999, 1000000000, UINT32_MAX - 1, UINT32_MAX};
	static const uint64_t times[] = {0, 1, SECOND, YEAR, 500 * YEAR, UINT64_MAX};
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);
	const size_t time_count = sizeof(times) / sizeof(times[0]);

	(void)state;
	for (size_t rate = 0; rate < count; rate++)
		for (size_t burst = 0; burst < count; burst++)
			for (size_t from = 0; from < time_count; from++)
				for (size_t to = from; to < time_count; to++) {
					struct bucket bucket;
					uint64_t time = times[to] - times[from];
					bucket_init(&bucket, numbers[rate], numbers[burst],
						times[from]);
					assert_int_equal(bucket_tokens(&bucket, times[from]),
						numbers[burst]);
					bool taken = bucket_take(&bucket, times[from]);
					assert_int_equal(taken, numbers[burst] > 0);
					/* It is full after a second, and again empty if it never fills. */
					bool full = !taken || (time >= SECOND && numbers[rate]);
					if (!full && time && numbers[rate])
						continue;
					assert_int_equal(bucket_tokens(&bucket, times[to]),
						numbers[burst] - !full);
				}
}

/* A product that comes out at nothing in 64 bits. */
static void test_overflow(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, UINT32_C(1) << 31, 1, 0);
	assert_true(bucket_take(&bucket, 0));
	assert_true(bucket_take(&bucket, UINT64_C(1) << 33));
	bucket_init(&bucket, UINT32_C(1) << 31, 1, 0);
	assert_true(bucket_take(&bucket, 0));
	assert_int_equal(bucket_wait(&bucket, UINT64_C(1) << 33), 0);
}

static void test_waiting(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 0, 1, 0);
	assert_true(bucket_take(&bucket, 0));
	assert_true(bucket_wait(&bucket, 0) == BUCKET_NEVER);
	bucket_init(&bucket, 1, 0, 0);
	assert_true(bucket_wait(&bucket, YEAR) == BUCKET_NEVER);
	bucket_init(&bucket, UINT32_MAX, 1, 0);
	assert_true(bucket_take(&bucket, 0));
	assert_int_equal(bucket_wait(&bucket, 0), 1);
	bucket_init(&bucket, 3, 1, 0);
	assert_true(bucket_take(&bucket, 0));
	/* Rounded up: whoever waits that long gets it. */
	assert_int_equal(bucket_wait(&bucket, 0), 333333334);
	assert_true(bucket_take(&bucket, 333333334));
}

/* Threads that read the clock before others did mint nothing, and cost nothing. */
static void test_clock_a_little_behind(void **state)
{
	struct bucket bucket;
	uint64_t now = 100 * SECOND;

	(void)state;
	bucket_init(&bucket, 1000, 10, now);
	assert_int_equal(drain(&bucket, now), 10);
	for (int i = 0; i < 100; i++) {
		assert_false(bucket_take(&bucket, now - SECOND / 2));
		assert_false(bucket_take(&bucket, now));
	}
	assert_int_equal(bucket_wait(&bucket, now - 5), SECOND / 1000 + 5);
	assert_true(bucket_take(&bucket, now + SECOND / 1000));
	assert_int_equal(bucket_tokens(&bucket, now + SECOND / 1000 * 6), 5);
	assert_int_equal(bucket_tokens(&bucket, now), 5);
}

/* A clock that was set far back: what is there stays, and filling goes on from there. */
static void test_clock_set_back(void **state)
{
	struct bucket bucket;
	uint64_t now = 10 * YEAR;

	(void)state;
	bucket_init(&bucket, 10, 10, now);
	for (int i = 0; i < 5; i++)
		assert_true(bucket_take(&bucket, now));
	now = 7;
	assert_int_equal(bucket_tokens(&bucket, now), 5);
	assert_int_equal(bucket_tokens(&bucket, now + SECOND / 10), 6);
	/* And forwards by years: full, no more. */
	assert_int_equal(bucket_tokens(&bucket, 500 * YEAR), 10);
	assert_int_equal(bucket_tokens(&bucket, UINT64_MAX), 10);
}

/* Against the definition: n tokens are taken in any stretch of time only if n <= burst + rate * time. */
static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 200; round++) {
		struct bucket bucket;
		uint32_t rate = 1 + (uint32_t)rand() % 5000, burst = 1 + (uint32_t)rand() % 50;
		uint64_t now = (uint64_t)rand() * SECOND, start = now;
		/* In billionths of a token, as a signed number that is only ever compared. */
		__int128 naive = (__int128)burst * SECOND;
		bucket_init(&bucket, rate, burst, now);
		for (int i = 0; i < 2000; i++) {
			uint64_t step = (uint64_t)rand() % (rand() % 10 ? 2000000 : SECOND);
			now += step;
			naive += (__int128)step * rate;
			if (naive > (__int128)burst * SECOND)
				naive = (__int128)burst * SECOND;
			bool wanted = naive >= SECOND;
			assert_int_equal(bucket_take(&bucket, now), wanted);
			if (wanted)
				naive -= SECOND;
		}
		assert_true(now > start);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_rate),
		cmocka_unit_test(test_small_steps),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_clock_a_little_behind),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
