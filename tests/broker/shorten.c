/* SPDX-License-Identifier: MIT */
/* Lines of the record that are too long for a pipe. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shorten.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4094
#define MARK "\xe2\x80\xa6"

static char line[65536];

/* A text of `count` times `unit`. */
static const char *repeat(const char *unit, size_t count)
{
	static char texts[4][32768];
	static unsigned int next;
	char *text = texts[next++ % 4], *at = text;

	while (count--)
		at = stpcpy(at, unit);
	return text;
}

/* Its length, after it was found to be one line. */
static size_t run(void)
{
	size_t length = shorten(line, strlen(line), MOST);

	line[length] = '\0';
	assert_true(length <= MOST);
	return length;
}

static void test_short_ones(void **state)
{
	char before[8192];

	(void)state;
	snprintf(line, sizeof(line), "{\"event\":\"request\",\"path\":\"%s\",\"path_hex\":\"00\"",
		repeat("x", MOST - 44));
	assert_int_equal(strlen(line), MOST);
	strcpy(before, line);
	assert_int_equal(run(), MOST);
	assert_string_equal(line, before);
}

static void test_a_long_path(void **state)
{
	(void)state;
	snprintf(line, sizeof(line),
		"{\"event\":\"request\",\"uid\":5001,\"path\":\"/%s\",\"errno\":\"EACCES\",\"us\":7",
		repeat("x", 4094));
	size_t length = run();
	/* It is cut no more than it takes. */
	assert_true(length > MOST - 200);
	assert_memory_equal(line, "{\"event\":\"request\",\"uid\":5001,\"path\":\"/xxx", 41);
	const char *end = strstr(line, "xxx" MARK "\"");
	assert_non_null(end);
	assert_string_equal(end + 7, ",\"errno\":\"EACCES\",\"us\":7,\"shortened\":\"path\"");
}

static void test_several_long_ones(void **state)
{
	(void)state;
	snprintf(line, sizeof(line),
		"{\"path\":\"%s\",\"to\":\"%s\",\"opened\":\"%s\",\"reason\":\"no\"",
		repeat("a", 4095), repeat("b", 4095), repeat("c", 4095));
	run();
	/* Something of each is left. */
	assert_non_null(strstr(line, repeat("a", 400)));
	assert_non_null(strstr(line, repeat("b", 400)));
	assert_non_null(strstr(line, repeat("c", 400)));
	assert_non_null(strstr(line, ",\"reason\":\"no\",\"shortened\":\"path to opened\""));
}

/* Nothing is cut within a character or an escape. */
static void test_characters(void **state)
{
	static const char *const units[] = {
		"\\u0001", "\\\"", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\\\"};

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		for (size_t shift = 0; shift < 8; shift++) {
			size_t size = strlen(units[u]);
			snprintf(line, sizeof(line), "{\"a\":\"%s\",\"path\":\"%s\",\"b\":1",
				repeat("x", shift), repeat(units[u], 5000 / size));
			run();
			const char *at = strstr(line, "\"path\":\"") + 8;
			while (strncmp(at, units[u], size) == 0)
				at += size;
			assert_memory_equal(at, MARK "\",\"b\":1,\"shortened\":\"path\"",
				strlen(MARK "\",\"b\":1,\"shortened\":\"path\""));
		}
	}
}

static void test_bytes_in_hexadecimal(void **state)
{
	(void)state;
	/* Without them it is short enough; the text is not all of the path, which is said. */
	snprintf(line, sizeof(line),
		"{\"n\":1,\"path\":\"%s\",\"path_hex\":\"%s\",\"comm\":\"c\",\"comm_hex\":\"63\"",
		repeat("\\ufffd", 300), repeat("ff", 1200));
	run();
	assert_null(strstr(line, "_hex"));
	assert_null(strstr(line, MARK));
	assert_non_null(strstr(line, "\\ufffd\",\"comm\":\"c\",\"shortened\":\"path comm\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_ones),
		cmocka_unit_test(test_a_long_path),
		cmocka_unit_test(test_several_long_ones),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_bytes_in_hexadecimal),
	};

	return cmocka_run_group_tests_name("shorten", tests, NULL, NULL);
}
