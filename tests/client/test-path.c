// SPDX-License-Identifier: MIT
/* test-path.c: the one spelling of a path (path.c), and of addresses (address.c). */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"
#include "path.h"

static const struct {
	const char *directory; /* NULL for absolute paths */
	const char *path;
	const char *result; /* NULL: `error` */
	int error;
} paths[] = {
	{NULL, "/", "/"},
	{NULL, "/a", "/a"},
	{NULL, "/a/b", "/a/b"},
	{NULL, "//", "/"},
	{NULL, "///", "/"},
	{NULL, "/.", "/"},
	{NULL, "/./", "/"},
	{NULL, "//a", "/a"},
	{NULL, "/a//b", "/a/b"},
	{NULL, "/a/./b", "/a/b"},
	{NULL, "/././a/././/b", "/a/b"},
	{NULL, "/...", "/..."},
	{NULL, "/..a/.b/a../b.", "/..a/.b/a../b."},
	{NULL, "/a b\n\xff", "/a b\n\xff"},
	{NULL, "/..", NULL, -EINVAL},
	{NULL, "/../a", NULL, -EINVAL},
	{NULL, "/a/..", NULL, -EINVAL},
	{NULL, "/a/../b", NULL, -EINVAL},
	{NULL, "/a/", NULL, -EINVAL},
	{NULL, "/a//", NULL, -EINVAL},
	{NULL, "/a/.", NULL, -EINVAL},
	{NULL, "/a/./", NULL, -EINVAL},
	{"/w", "", NULL, -ENOENT},
	{"/w", "a", "/w/a"},
	{"/w", "./a", "/w/a"},
	{"/w", "a/.//b", "/w/a/b"},
	{"/w", ".", "/w"},
	{"/w", "./", "/w"},
	{"/", ".", "/"},
	{"/", "a", "/a"},
	{"/w/x", "..", "/w"},
	{"/w/x", "../", "/w"},
	{"/w/x", "../a", "/w/a"},
	{"/w/x", "./..//./../a", "/a"},
	{"/w/x", "../../../../a", "/a"},
	{"/w/x", "../..", "/"},
	{"/", "..", "/"},
	{"/", "../a", "/a"},
	{"/w/x", "..a", "/w/x/..a"},
	{"/w", "a/", NULL, -EINVAL},
	{"/w", "a/.", NULL, -EINVAL},
	{"/w", "a/..", NULL, -EINVAL},
	{"/w", "a/../b", NULL, -EINVAL},
	{"/w", "../a/../b", NULL, -EINVAL},
};

static void test_clean(void **state)
{
	char buffer[64];
	size_t i, length;
	int error;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		memset(buffer, '#', sizeof(buffer));
		length = 0;
		if (paths[i].directory) {
			length = strlen(paths[i].directory);
			memcpy(buffer, paths[i].directory, length);
		}
		error = path_clean(buffer, sizeof(buffer), &length, paths[i].path, false);
		if (error != paths[i].error)
			fail_msg("%s: %d", paths[i].path, error);
		if (!paths[i].result)
			continue;
		if (length != strlen(paths[i].result) || memcmp(buffer, paths[i].result, length))
			fail_msg("%s: %.*s", paths[i].path, (int)length, buffer);
	}
}

static const struct {
	const char *path;
	const char *result; /* NULL: -EINVAL */
} directories[] = {
	{"/", "/"},
	{"/a", "/a"},
	{"/a/", "/a"},
	{"/a//", "/a"},
	{"/a/.", "/a"},
	{"/a/./", "/a"},
	{"/a/././/", "/a"},
	{"/a/.b/", "/a/.b"},
	{"a/", "/w/x/a"},
	{"./", "/w/x"},
	{"../a/.", "/w/a"},
	{"/a/..", NULL},
	{"/a/../", NULL},
	{"/a/./..", NULL},
	{"a/../", NULL},
};

/* Where only a directory is meant, what demands one is dropped, and nothing else. */
static void test_directories(void **state)
{
	char buffer[64];
	size_t i, length;
	int error;

	(void)state;
	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		memcpy(buffer, "/w/x", 4);
		length = 4;
		error = path_clean(buffer, sizeof(buffer), &length, directories[i].path, true);
		if (error != (directories[i].result ? 0 : -EINVAL))
			fail_msg("%s: %d", directories[i].path, error);
		if (directories[i].result && (length != strlen(directories[i].result) ||
						     memcmp(buffer, directories[i].result, length)))
			fail_msg("%s: %.*s", directories[i].path, (int)length, buffer);
	}
}

/* Every string of up to seven characters of "/.a": the quick look and the slow way agree. */
static void test_canonical_exhaustively(void **state)
{
	static const char alphabet[] = "/.a";
	char path[8], buffer[8];
	unsigned int n, rest;
	size_t size, i, length, clean;
	bool canonical;
	int error;

	(void)state;
	for (size = 1; size <= 7; size++) {
		unsigned int total = 1;

		for (i = 0; i < size; i++)
			total *= 3;
		for (n = 0; n < total; n++) {
			for (i = 0, rest = n; i < size; i++, rest /= 3)
				path[i] = alphabet[rest % 3];
			path[size] = '\0';
			length = 99;
			canonical = path_is_canonical(path, &length);
			if (path[0] != '/') {
				assert_false(canonical);
				continue;
			}
			clean = 0;
			error = path_clean(buffer, sizeof(buffer), &clean, path, false);
			if (canonical !=
				(error == 0 && clean == size && memcmp(path, buffer, size) == 0))
				fail_msg("%s", path);
			if (canonical)
				assert_int_equal(length, size);
			if (error == 0) {
				buffer[clean] = '\0';
				assert_true(path_is_canonical(buffer, &length));
			}
		}
	}
}

/* The result fits exactly or not at all, and nothing is written behind the buffer. */
static void test_size(void **state)
{
	char buffer[16];
	size_t size, length;
	int error;

	(void)state;
	for (size = 0; size <= 8; size++) {
		memset(buffer, '#', sizeof(buffer));
		memcpy(buffer, "/w", 2);
		length = 2;
		error = path_clean(buffer, size, &length, "ab//cd", false);
		assert_int_equal(error, size >= 8 ? 0 : -ENAMETOOLONG);
		if (error == 0)
			assert_memory_equal(buffer, "/w/ab/cd", 8);
		assert_int_equal(buffer[size > 2 ? size : 2], '#');
	}
	length = 0;
	assert_int_equal(path_clean(buffer, 0, &length, "//", false), -ENAMETOOLONG);
	assert_int_equal(path_clean(buffer, 1, &length, "//", false), 0);
}

static const struct {
	const char *text;
	int error;
	enum address_kind kind;
	int fd;
} addresses[] = {
	{"@a", 0, ADDRESS_ABSTRACT, -1},
	{"@@a/b", 0, ADDRESS_ABSTRACT, -1},
	{"/run/x", 0, ADDRESS_PATHNAME, -1},
	{"fd:0", 0, ADDRESS_DESCRIPTOR, 0},
	{"fd:2147483647", 0, ADDRESS_DESCRIPTOR, INT_MAX},
	{"fd:2147483648", -EBADF},
	{"fd:99999999999999999999999999", -EBADF},
	{"fd:", -EINVAL},
	{"fd:-1", -EINVAL},
	{"fd:+1", -EINVAL},
	{"fd: 1", -EINVAL},
	{"fd:1x", -EINVAL},
	{"fd:0x1", -EINVAL},
	{"FD:1", -EINVAL},
	{"", -EINVAL},
	{"@", -EINVAL},
	{"x", -EINVAL},
	{"./x", -EINVAL},
	{" /x", -EINVAL},
};

static void test_addresses(void **state)
{
	struct address address;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		int error = address_parse(addresses[i].text, &address);

		if (error != addresses[i].error)
			fail_msg("%s: %d", addresses[i].text, error);
		if (error < 0)
			continue;
		assert_int_equal(address.kind, addresses[i].kind);
		assert_int_equal(address.fd, addresses[i].fd);
	}
}

static void test_address_bytes(void **state)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];
	struct address address;

	(void)state;
	assert_int_equal(address_parse("@ab", &address), 0);
	assert_int_equal(address.length, head + 3);
	assert_memory_equal(address.name.sun_path, "\0ab", 4);
	assert_int_equal(address_parse("/ab", &address), 0);
	assert_int_equal(address.length, head + 4);
	assert_string_equal(address.name.sun_path, "/ab");

	memset(text, 'x', sizeof(text));
	text[107] = '\0';
	text[0] = '/';
	assert_int_equal(address_parse(text, &address), 0);
	assert_int_equal(address.length, sizeof(address.name));
	text[0] = '@';
	assert_int_equal(address_parse(text, &address), 0);
	assert_int_equal(address.length, head + 107);
	text[107] = 'x';
	text[108] = '\0';
	assert_int_equal(address_parse(text, &address), -ENAMETOOLONG);
	text[0] = '/';
	assert_int_equal(address_parse(text, &address), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_canonical_exhaustively),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
