// SPDX-License-Identifier: MIT
/* test-change.c: what the calls that change something ask for, by a broker that compares every byte. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

#define EXTRA(text) .extra = (text), .extra_length = sizeof(text) - 1

static void test_one_path(void **state)
{
	const struct fake_turn turns[] = {
		{FDBROKER_MKDIR, .mode = 0750, .path = "/a"},
		{FDBROKER_MKDIR, .mode = 07750, .path = "/a/b", .error = EEXIST},
		{FDBROKER_RMDIR, .path = "/a"},
		{FDBROKER_RMDIR, .path = "/a", .error = ENOTEMPTY},
		{FDBROKER_UNLINK, .path = "/a/b"},
		{FDBROKER_UNLINK, .path = "/a/b", .error = EISDIR},
		{FDBROKER_CHMOD, .mode = 0666, .path = "/a"},
		{FDBROKER_CHMOD, .mode = 07777, .path = "/a", .error = EPERM},
	};
	struct fdbroker *broker;
	struct fake fake;
	mode_t mask = umask(027);

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_mkdir(broker, "/a", 0777), 0);
	check_failure(fdbroker_mkdir(broker, "//a/./b/", S_IFDIR | 07777), EEXIST);
	assert_int_equal(fdbroker_rmdir(broker, "/a//"), 0);
	check_failure(fdbroker_rmdir(broker, "/a"), ENOTEMPTY);
	assert_int_equal(fdbroker_unlink(broker, "/a//b"), 0);
	check_failure(fdbroker_unlink(broker, "/a/b"), EISDIR);
	assert_int_equal(fdbroker_chmod(broker, "/a", 0666), 0);
	check_failure(fdbroker_chmod(broker, "/a", S_IFREG | 07777), EPERM);
	/* "." is no name to make or remove, and "/" says that there is a directory. */
	check_failure(fdbroker_mkdir(broker, "/a/.", 0777), EINVAL);
	check_failure(fdbroker_rmdir(broker, "/a/."), EINVAL);
	check_failure(fdbroker_rmdir(broker, "/a/b/.."), EINVAL);
	check_failure(fdbroker_unlink(broker, "/a/"), EINVAL);
	check_failure(fdbroker_unlink(broker, ""), ENOENT);
	check_failure(fdbroker_mkdir(broker, NULL, 0777), EFAULT);
	check_failure(fdbroker_rmdir(broker, NULL), EFAULT);
	check_failure(fdbroker_unlink(broker, NULL), EFAULT);
	check_failure(fdbroker_chmod(broker, NULL, 0), EFAULT);
	calls_stop(&fake, broker);
	umask(mask);
}

static void test_two_paths(void **state)
{
	char directory[PATH_MAX], one[PATH_MAX + 8], other[PATH_MAX + 8];
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	assert_non_null(getcwd(directory, sizeof(directory)));
	snprintf(one, sizeof(one), "%s/one", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	const struct fake_turn turns[] = {
		{FDBROKER_RENAME, .path = "/a", EXTRA("/b/c")},
		{FDBROKER_RENAME, .path = "/a", EXTRA("/b/c"), .error = EXDEV},
		{FDBROKER_RENAME, .flags = RENAME_EXCHANGE, .path = "/a", EXTRA("/b")},
		{FDBROKER_RENAME, .flags = 0xffffffff, .path = "/a", EXTRA("/b"), .error = EINVAL},
		{FDBROKER_RENAME, .path = one, .extra = other, .extra_length = strlen(other)},
		{FDBROKER_LINK, .path = "/a", EXTRA("/b")},
		{FDBROKER_LINK, .path = one, .extra = other, .extra_length = strlen(other),
			.error = EPERM},
		{FDBROKER_UNLINK, .path = "/a"},
	};
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_rename(broker, "/a", "/b/c"), 0);
	check_failure(fdbroker_rename(broker, "//a", "/b/./c"), EXDEV);
	assert_int_equal(fdbroker_rename2(broker, "/a", "/b", RENAME_EXCHANGE), 0);
	check_failure(fdbroker_rename2(broker, "/a", "/b", 0xffffffff), EINVAL);
	assert_int_equal(fdbroker_rename(broker, "one", "./other"), 0);
	assert_int_equal(fdbroker_link(broker, "/a", "/b"), 0);
	check_failure(fdbroker_link(broker, "one", "other"), EPERM);
	check_failure(fdbroker_rename(broker, NULL, "/b"), EFAULT);
	check_failure(fdbroker_rename(broker, "/a", NULL), EFAULT);
	check_failure(fdbroker_link(broker, "/a", ""), ENOENT);
	check_failure(fdbroker_link(broker, "", "/a"), ENOENT);
	check_failure(fdbroker_rename(broker, "/a", "/b/"), EINVAL);
	check_failure(fdbroker_rename(broker, "/a", "/b/../c"), EINVAL);
	/* Nothing extra is left over from the calls before. */
	assert_int_equal(fdbroker_unlink(broker, "/a"), 0);
	calls_stop(&fake, broker);
}

static void test_lengths(void **state)
{
	static char text[FDBROKER_PATH_MAX + 2], path[FDBROKER_REQUEST_MAX + 2], same[sizeof(path)];
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	memset(text, 'x', FDBROKER_PATH_MAX);
	text[0] = '/';
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	/* The longest path that fits beside the text. */
	memcpy(same, path, sizeof(path));
	same[FDBROKER_REQUEST_MAX - sizeof(struct fdbroker_request) - FDBROKER_PATH_MAX] = '\0';
	const struct fake_turn turns[] = {
		{FDBROKER_SYMLINK, .path = same, .extra = text, .extra_length = FDBROKER_PATH_MAX,
			.error = ENAMETOOLONG},
		{FDBROKER_SYMLINK, .path = "/l", EXTRA("../any//text/")},
		{FDBROKER_SYMLINK, .path = "/l", EXTRA(""), .error = ENOENT},
		{FDBROKER_RENAME, .path = "/l", .extra = text, .extra_length = FDBROKER_PATH_MAX},
	};
	broker = calls_start(&fake, turns, COUNT(turns));
	check_failure(fdbroker_symlink(broker, text, same), ENAMETOOLONG);
	/* One byte more is refused here: it would cost the connection. */
	same[strlen(same)] = 'x';
	check_failure(fdbroker_symlink(broker, text, same), ENAMETOOLONG);
	check_failure(fdbroker_symlink(broker, text, path), ENAMETOOLONG);
	assert_int_equal(fdbroker_symlink(broker, "../any//text/", "/l"), 0);
	check_failure(fdbroker_symlink(broker, "", "/l"), ENOENT);
	check_failure(fdbroker_symlink(broker, NULL, "/l"), EFAULT);
	check_failure(fdbroker_symlink(broker, "x", NULL), EFAULT);
	assert_int_equal(fdbroker_rename(broker, "/l", text), 0);
	text[FDBROKER_PATH_MAX] = 'x';
	check_failure(fdbroker_rename(broker, "/l", text), ENAMETOOLONG);
	check_failure(fdbroker_symlink(broker, text, "/l"), ENAMETOOLONG);
	calls_stop(&fake, broker);
}

static void test_times(void **state)
{
	static const struct fdbroker_times now = {
		{.nanoseconds = UTIME_NOW}, {.nanoseconds = UTIME_NOW}};
	static const struct fdbroker_times given = {{.seconds = -5, .nanoseconds = 1},
		{.seconds = 1ll << 40, .nanoseconds = 999999999}};
	static const struct fdbroker_times omitted = {
		{.nanoseconds = UTIME_OMIT}, {.seconds = 7, .nanoseconds = 0}};
	const struct fake_turn turns[] = {
		{FDBROKER_UTIMENS, .path = "/a", .extra = &now, .extra_length = sizeof(now)},
		{FDBROKER_UTIMENS, .flags = AT_SYMLINK_NOFOLLOW, .path = "/a", .extra = &given,
			.extra_length = sizeof(given)},
		{FDBROKER_UTIMENS, .path = "/a", .extra = &omitted, .extra_length = sizeof(omitted),
			.error = EROFS},
	};
	struct timespec times[2] = {{-5, 1}, {(time_t)(1ll << 40), 999999999}};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_utimens(broker, "/a", NULL, 0), 0);
	assert_int_equal(fdbroker_utimens(broker, "/a", times, AT_SYMLINK_NOFOLLOW), 0);
	times[0] = (struct timespec){.tv_sec = 99, .tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = 7};
	check_failure(fdbroker_utimens(broker, "/a", times, 0), EROFS);
	for (int i = 0; i < 2; i++) {
		const long bad[] = {-1, 1000000000, LONG_MAX, LONG_MIN};
		for (size_t j = 0; j < COUNT(bad); j++) {
			times[0] = times[1] = (struct timespec){0};
			times[i].tv_nsec = bad[j];
			check_failure(fdbroker_utimens(broker, "/a", times, 0), EINVAL);
		}
	}
	check_failure(fdbroker_utimens(broker, NULL, NULL, 0), EFAULT);
	calls_stop(&fake, broker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_path),
		cmocka_unit_test(test_two_paths),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
