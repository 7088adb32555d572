/* SPDX-License-Identifier: MIT */
/* The numbers of `status`: every request in its place, summed over threads that go on counting. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fdbroker-protocol.h"
#include "statistics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[16384];
static struct statistics_set set;

/* One thread's, in a set of its own. */
static void begin(struct statistics *own)
{
	statistics_begin(&set);
	statistics_join(&set, own);
}

/* The number behind `name`, or -1. */
static int64_t number(struct statistics_set *from, const char *name)
{
	char start[64];

	size_t used = statistics_print(from, text, sizeof(text));
	assert_int_equal(used, strlen(text));
	snprintf(start, sizeof(start), "\n%s ", name);
	/* The first line has no newline before it. */
	if (strncmp(text, start + 1, strlen(start + 1)) == 0)
		return strtoll(text + strlen(start + 1), NULL, 10);
	const char *line = strstr(text, start);
	return line ? strtoll(line + strlen(start), NULL, 10) : -1;
}

static void test_results(void **state)
{
	static struct statistics own;

	(void)state;
	begin(&own);
	assert_int_equal(number(&set, "requests"), 0);
	assert_int_equal(number(&set, "requests_open_allow"), -1);
	statistics_request(&own, FDBROKER_OPEN, STATISTICS_ALLOW, 1000);
	statistics_request(&own, FDBROKER_OPEN, STATISTICS_DENY, 1000);
	statistics_request(&own, FDBROKER_OPEN, STATISTICS_DENY, 1000);
	statistics_request(&own, FDBROKER_TREE, STATISTICS_ERROR, 1000);
	statistics_request(&own, 60000, STATISTICS_ERROR, 1000);
	statistics_accept(&own);
	statistics_limit(&own, STATISTICS_CONNECTIONS);
	assert_int_equal(number(&set, "requests"), 5);
	assert_int_equal(number(&set, "denials"), 2);
	assert_int_equal(number(&set, "requests_open_allow"), 1);
	assert_int_equal(number(&set, "requests_open_deny"), 2);
	assert_int_equal(number(&set, "requests_open_error"), 0);
	assert_int_equal(number(&set, "requests_tree_error"), 1);
	assert_int_equal(number(&set, "requests_invalid_error"), 1);
	assert_int_equal(number(&set, "accepted"), 1);
	assert_int_equal(number(&set, "limits_connections"), 1);
}

static void test_histogram(void **state)
{
	static struct statistics own;
	static const int64_t times[] = {
		-5, 0, 2000, 2001, 5000, 99999, 100000, 100001, 10000000000, 10000000001};

	(void)state;
	begin(&own);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		statistics_request(&own, FDBROKER_OPEN, STATISTICS_ALLOW, times[i]);
	assert_int_equal(number(&set, "latency_us_2"), 3);
	assert_int_equal(number(&set, "latency_us_5"), 5);
	assert_int_equal(number(&set, "latency_us_50"), 5);
	assert_int_equal(number(&set, "latency_us_100"), 7);
	assert_int_equal(number(&set, "latency_us_200"), 8);
	assert_int_equal(number(&set, "latency_us_10000000"), 9);
	assert_int_equal(number(&set, "latency_us_inf"), 10);
	assert_int_equal(number(&set, "latency_us_sum"), 20000309);
}

/* All of it fits into a reply, whatever the numbers; and what does not fit is cut between lines. */
static void test_size(void **state)
{
	static struct statistics own;
	char small[100];

	(void)state;
	begin(&own);
	for (unsigned int i = 0; i < STATISTICS_OPERATIONS; i++)
		for (unsigned int j = 0; j < STATISTICS_RESULTS; j++)
			own.requests[i][j] = UINT64_MAX;
	assert_in_range(statistics_print(&set, text, sizeof(text)), 1000, 8192);
	assert_non_null(strstr(text, "\nrequests_restarted_error 18446744073709551615\n"));
	assert_non_null(strstr(text, "\nlatency_us_sum 0\n"));
	size_t used = statistics_print(&set, small, sizeof(small));
	assert_int_equal(strlen(small), used);
	assert_int_equal(small[used - 1], '\n');
}

#define THREADS 3
#define TIMES	200000

static struct statistics threads_own[THREADS];

static void *count(void *argument)
{
	statistics_join(&set, argument);
	for (int i = 0; i < TIMES; i++)
		statistics_request(argument, FDBROKER_STAT, STATISTICS_ALLOW, 1);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	int64_t last = 0;

	(void)state;
	statistics_begin(&set);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, &threads_own[i]), 0);
	for (int i = 0; i < 100; i++) {
		int64_t now = number(&set, "requests");
		assert_true(now >= last);
		last = now;
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(number(&set, "requests_stat_allow"), THREADS * TIMES);
	statistics_leave(&set, &threads_own[1]);
	assert_int_equal(number(&set, "requests_stat_allow"), (THREADS - 1) * TIMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
