/* SPDX-License-Identifier: MIT */
/* The record's lines: whatever bytes go in, one line of valid JSON comes out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct audit_line line;

/* The line that `value` makes, from behind the time and the event. */
static const char *written(const char *value, size_t length)
{
	static char text[AUDIT_LINE_MAX + 1];
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	audit_begin(&line, ends[1], "e");
	audit_bytes(&line, "v", value, length);
	audit_end(&line);
	close(ends[1]);
	ssize_t got = read(ends[0], text, AUDIT_LINE_MAX);
	close(ends[0]);
	assert_true(got > 0);
	text[got] = '\0';
	const char *start = strstr(text, "\"event\":\"e\"");
	assert_non_null(start);
	return start + strlen("\"event\":\"e\"");
}

static void test_escapes(void **state)
{
	static const struct {
		const char *value, *json;
	} table[] = {
		{"plain", "plain"},
		{"", ""},
		{"a\"b\\c", "a\\\"b\\\\c"},
		{"a\nb\tc\x01", "a\\u000ab\\u0009c\\u0001"},
		{"\x7f", "\\u007f"},
		{"\033[31m", "\\u001b[31m"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		/* C1 controls and line separators are characters that do things to a terminal. */
		{"\xc2\x9b", "\\u009b"},
		{"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
		/* Not UTF-8: alone, cut short, overlong, a surrogate, beyond the last character. */
		{"\xff", "\\udcff"},
		{"\x80", "\\udc80"},
		{"\xc3", "\\udcc3"},
		{"\xc3(", "\\udcc3("},
		{"\xe2\x82", "\\udce2\\udc82"},
		{"\xc0\xaf", "\\udcc0\\udcaf"},
		{"\xe0\x80\xaf", "\\udce0\\udc80\\udcaf"},
		{"\xed\xa0\x80", "\\udced\\udca0\\udc80"},
		{"\xf4\x90\x80\x80", "\\udcf4\\udc90\\udc80\\udc80"},
		{"\xf5\x80\x80\x80", "\\udcf5\\udc80\\udc80\\udc80"},
	};
	char wanted[256];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(wanted, sizeof(wanted), ",\"v\":\"%s\"}\n", table[i].json);
		assert_string_equal(written(table[i].value, strlen(table[i].value)), wanted);
	}
	assert_string_equal(written("a\0b", 3), ",\"v\":\"a\\u0000b\"}\n");
}

/* Two of the longest paths, each byte escaped to six, fit into a line. */
static void test_longest(void **state)
{
	char path[4095];

	(void)state;
	memset(path, 1, sizeof(path));
	audit_begin(&line, -1, "request");
	audit_bytes(&line, "path", path, sizeof(path));
	audit_bytes(&line, "opened", path, sizeof(path));
	assert_true(line.used > 2 * 6 * sizeof(path));
	size_t used = line.used;
	audit_string(&line, "rule", "/etc/fdbroker/policy:17");
	assert_true(line.used > used);
}

/* What does not fit is left out whole: the line stays valid. */
static void test_too_long(void **state)
{
	char *large = malloc(AUDIT_LINE_MAX);

	(void)state;
	memset(large, 'x', AUDIT_LINE_MAX);
	audit_begin(&line, -1, "e");
	size_t used = line.used;
	audit_bytes(&line, "v", large, AUDIT_LINE_MAX);
	assert_int_equal(line.used, used);
	for (int i = 0; i < 100000; i++)
		audit_number(&line, "n", i);
	assert_true(line.used <= sizeof(line.bytes) - 2);
	audit_end(&line);
	assert_int_equal(line.bytes[line.used - 1], '\n');
	assert_int_equal(line.bytes[line.used - 2], '}');
	free(large);
}

static void test_errno(void **state)
{
	(void)state;
	audit_begin(&line, -1, "e");
	audit_errno(&line, ENOENT);
	audit_errno(&line, 4000);
	line.bytes[line.used] = '\0';
	assert_non_null(strstr(line.bytes, ",\"errno\":\"ENOENT\",\"errno\":4000"));
	errno = EXDEV;
	audit_end(&line);
	assert_int_equal(errno, EXDEV);
}

/* A reader that does not read costs lines, and they are counted; never time. */
static void test_full(void **state)
{
	char *all = malloc(1 << 20), *end;
	int ends[2], log;
	size_t used = 0;
	ssize_t got;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	log = audit_open(ends[1]);
	assert_true(log >= 0);
	memset(&line, 0, sizeof(line));
	for (int i = 0; i < 1000; i++) {
		audit_begin(&line, log, "e");
		audit_bytes(&line, "v", line.bytes, 1000);
		audit_end(&line);
	}
	assert_in_range(line.lost, 900, 990);
	while ((got = read(ends[0], all + used, 4096)) > 0)
		used += (size_t)got;
	audit_begin(&line, log, "last");
	audit_end(&line);
	assert_int_equal(line.lost, 0);
	used += (size_t)read(ends[0], all + used, 4096);
	all[used] = '\0';
	/* Whatever was cut short, the last one stands on a line of its own and tells. */
	end = strrchr(all, '{');
	assert_true(end > all && end[-1] == '\n');
	assert_non_null(strstr(end, "\"event\":\"last\",\"lost\":9"));
	free(all);
	close(log);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
