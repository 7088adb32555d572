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
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
		const char *value, *json, *hex; /* NULL: it is UTF-8 */
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
		{"\xff", "\\ufffd", "ff"},
		{"\x80", "\\ufffd", "80"},
		{"\xc3", "\\ufffd", "c3"},
		{"\xc3(", "\\ufffd(", "c328"},
		{"\xe2\x82", "\\ufffd\\ufffd", "e282"},
		{"\xc0\xaf", "\\ufffd\\ufffd", "c0af"},
		{"\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd", "e080af"},
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", "eda080"},
		{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "f4908080"},
		{"\xf5\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "f5808080"},
	};
	char wanted[256];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(wanted, sizeof(wanted), ",\"v\":\"%s\"%s%s%s}\n", table[i].json,
			table[i].hex ? ",\"v_hex\":\"" : "", table[i].hex ? table[i].hex : "",
			table[i].hex ? "\"" : "");
		assert_string_equal(written(table[i].value, strlen(table[i].value)), wanted);
	}
	assert_string_equal(written("a\0b", 3), ",\"v\":\"a\\u0000b\"}\n");
}

/* Two of the longest paths, each byte escaped to six and in hexadecimal besides, fit into a line. */
static void test_longest(void **state)
{
	char path[4095];

	(void)state;
	memset(path, 0xff, sizeof(path));
	audit_begin(&line, -1, "request");
	audit_bytes(&line, "path", path, sizeof(path));
	audit_bytes(&line, "opened", path, sizeof(path));
	assert_true(line.used > 2 * 8 * sizeof(path));
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

/* ---- the journal ------------------------------------------------------------------------------ */

/* A field of the datagram `entry`, of `size` bytes; its length in *length, NULL where there is none. */
static const char *field(const char *entry, size_t size, const char *name, size_t *length)
{
	const char *at = entry, *end = entry + size, *value = NULL;

	while (at < end) {
		const char *stop = at + strcspn(at, "=\n"), *next;
		uint64_t binary;

		if (*stop == '\n') {
			memcpy(&binary, stop + 1, sizeof(binary));
			next = stop + 1 + sizeof(binary);
		} else {
			binary = (uint64_t)((const char *)memchr(stop, '\n', (size_t)(end - stop)) -
					    stop - 1);
			next = stop + 1;
		}
		if ((size_t)(stop - at) == strlen(name) && memcmp(at, name, strlen(name)) == 0) {
			value = next;
			*length = binary;
		}
		at = next + binary;
		assert_int_equal(*at, '\n');
		at++;
	}
	assert_ptr_equal(at, end);
	return value;
}

static void assert_field(const char *entry, size_t size, const char *name, const char *wanted)
{
	size_t length;
	const char *value = field(entry, size, name, &length);

	assert_non_null(value);
	assert_int_equal(length, strlen(wanted));
	assert_memory_equal(value, wanted, length);
}

/* The name of the line's descriptor stays; the ends of a pair of sockets stand for the journal. */
static size_t receive_entry(int journal, char *entry, size_t size)
{
	ssize_t length = recv(journal, entry, size - 1, MSG_DONTWAIT);

	assert_true(length > 0);
	entry[length] = '\0';
	return (size_t)length;
}

static void test_journal(void **state)
{
	static char entry[AUDIT_LINE_MAX];
	int ends[2];
	size_t length;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	audit_use_journal(ends[0]);
	memset(&line, 0, sizeof(line));
	audit_begin(&line, ends[0], "request");
	audit_string(&line, "verdict", "deny");
	audit_number(&line, "uid", 5001);
	audit_string(&line, "right", "read");
	audit_bytes(&line, "path", "/a\nMESSAGE=forged\xff\0", 19);
	audit_string(&line, "reason", "no rule \xc2\x9b allows it");
	audit_end(&line);
	size_t size = receive_entry(ends[1], entry, sizeof(entry));
	assert_field(entry, size, "FDBROKER_EVENT", "request");
	assert_field(entry, size, "FDBROKER_UID", "5001");
	const char *path = field(entry, size, "FDBROKER_PATH", &length);
	assert_int_equal(length, 19);
	assert_memory_equal(path, "/a\nMESSAGE=forged\xff\0", 19);
	assert_field(entry, size, "PRIORITY", "5");
	assert_field(entry, size, "SYSLOG_IDENTIFIER", "fdbrokerd");
	assert_field(entry, size, "MESSAGE",
		"deny read /a\\x0aMESSAGE=forged\\xff\\x00: no rule \\xc2\\x9b allows it, uid 5001");
	assert_null(field(entry, size, "FDBROKER_TRUNCATED", &length));
	/* A line to another descriptor is a line. */
	audit_begin(&line, 2, "e");
	assert_int_equal(line.bytes[0], '{');
	audit_use_journal(-1);
	close(ends[0]);
	close(ends[1]);
}

static void test_journal_priorities(void **state)
{
	static const struct {
		const char *event, *verdict, *priority;
	} table[] = {
		{"request", "allow", "6"},
		{"request", "deny", "5"},
		{"request", "error", "4"},
		{"view", "warning", "4"},
		{"worker", "error", "3"},
		{"ready", NULL, "6"},
	};
	static char entry[AUDIT_LINE_MAX];
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	audit_use_journal(ends[0]);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		audit_begin(&line, ends[0], table[i].event);
		audit_string(&line, "verdict", table[i].verdict);
		audit_end(&line);
		size_t size = receive_entry(ends[1], entry, sizeof(entry));
		assert_field(entry, size, "PRIORITY", table[i].priority);
	}
	audit_use_journal(-1);
	close(ends[0]);
	close(ends[1]);
}

/* What does not fit into a datagram is told of all the same, and marked; a full queue costs lines, not time. */
static void test_journal_too_much(void **state)
{
	static char entry[AUDIT_LINE_MAX], path[4095];
	int ends[2], size = 4096;
	size_t length;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	audit_use_journal(ends[0]);
	memset(&line, 0, sizeof(line));
	memset(path, 1, sizeof(path));
	audit_begin(&line, ends[0], "request");
	audit_string(&line, "verdict", "deny");
	audit_bytes(&line, "path", path, sizeof(path));
	audit_bytes(&line, "opened", path, sizeof(path));
	audit_string(&line, "reason", "why");
	audit_number(&line, "uid", 5001);
	audit_end(&line);
	assert_int_equal(line.lost, 0);
	size_t got = receive_entry(ends[1], entry, sizeof(entry));
	assert_field(entry, got, "FDBROKER_TRUNCATED", "1");
	const char *message = field(entry, got, "MESSAGE", &length);
	assert_memory_equal(message, "deny \\x01\\x01", 13);
	assert_non_null(memmem(message, length, "...: why, uid 5001", 18));
	for (int i = 0; i < 1000; i++) {
		audit_begin(&line, ends[0], "e");
		audit_end(&line);
	}
	assert_in_range(line.lost, 500, 999);
	uint64_t lost = line.lost;
	receive_entry(ends[1], entry, sizeof(entry));
	audit_begin(&line, ends[0], "e");
	audit_end(&line);
	assert_int_equal(line.lost, 0);
	do
		got = receive_entry(ends[1], entry, sizeof(entry));
	while (!field(entry, got, "FDBROKER_LOST", &length));
	assert_int_equal(strtoull(field(entry, got, "FDBROKER_LOST", &length), NULL, 10), lost);
	audit_use_journal(-1);
	close(ends[0]);
	close(ends[1]);
}

/* What several processes write to a pipe stays apart up to PIPE_BUF bytes; to a file at any length. */
static void test_pipes_and_files(void **state)
{
	static char text[AUDIT_LINE_MAX], path[4096];
	int ends[2], file = memfd_create("record", MFD_CLOEXEC), targets[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_true(file >= 0);
	memset(path, 'x', sizeof(path) - 1);
	targets[0] = ends[1];
	targets[1] = file;
	for (int i = 0; i < 2; i++) {
		memset(&line, 0, sizeof(line));
		audit_begin(&line, targets[i], "e");
		audit_string(&line, "path", path);
		audit_string(&line, "to", path);
		audit_number(&line, "uid", 1);
		audit_end(&line);
		assert_int_equal(line.lost, 0);
	}
	ssize_t got = read(ends[0], text, sizeof(text));
	assert_in_range(got, PIPE_BUF - 300, PIPE_BUF);
	text[got] = '\0';
	assert_non_null(strstr(text, "\xe2\x80\xa6\",\"uid\":1,\"shortened\":\"path to\"}\n"));
	got = pread(file, text, sizeof(text) - 1, 0);
	text[got] = '\0';
	assert_true(got > 8190);
	assert_null(strstr(text, "shortened"));
	close(ends[0]);
	close(ends[1]);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_pipes_and_files),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_journal_priorities),
		cmocka_unit_test(test_journal_too_much),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
