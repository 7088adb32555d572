// SPDX-License-Identifier: MIT
/*
 * test-inspect.c: stat, access, readlink and tree, with a broker that answers well and one that does not.
 *
 * The fake one also checks what it is asked. The caller's memory is looked at after each failure:
 * nothing of a reply that was turned down may be in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

/* ---- stat ------------------------------------------------------------------------------------- */

static const struct statx sample = {
	.stx_mask = STATX_BASIC_STATS,
	.stx_blksize = 4096,
	.stx_nlink = 3,
	.stx_uid = 5001,
	.stx_gid = 5002,
	.stx_mode = S_IFCHR | 0640,
	.stx_ino = UINT64_MAX - 1,
	.stx_size = (uint64_t)1 << 40,
	.stx_blocks = 17,
	.stx_atime = {.tv_sec = -1, .tv_nsec = 1},
	.stx_mtime = {.tv_sec = 2, .tv_nsec = 999999999},
	.stx_ctime = {.tv_sec = (int64_t)1 << 33, .tv_nsec = 3},
	.stx_rdev_major = 4,
	.stx_rdev_minor = 300,
	.stx_dev_major = 259,
	.stx_dev_minor = 70000,
};

static void test_stat(void **state)
{
	const struct fake_turn turns[] = {
		{FDBROKER_STAT, .path = "/x", .data = &sample, .length = sizeof(sample)},
		{FDBROKER_STAT, AT_SYMLINK_NOFOLLOW, .path = "/x", .data = &sample,
			.length = sizeof(sample)},
		{FDBROKER_STAT, 0xffffffff, .path = "/a/b", .error = EINVAL},
		{FDBROKER_STAT, AT_SYMLINK_NOFOLLOW, .path = "/x", .data = &sample,
			.length = sizeof(sample)},
	};
	struct stat status;
	struct statx extended;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_stat(broker, "/x", &status), 0);
	assert_int_equal(status.st_dev, makedev(259, 70000));
	assert_int_equal(status.st_rdev, makedev(4, 300));
	assert_true(status.st_ino == UINT64_MAX - 1);
	assert_int_equal(status.st_mode, S_IFCHR | 0640);
	assert_int_equal(status.st_nlink, 3);
	assert_int_equal(status.st_uid, 5001);
	assert_int_equal(status.st_gid, 5002);
	assert_int_equal(status.st_size, (off_t)1 << 40);
	assert_int_equal(status.st_blksize, 4096);
	assert_int_equal(status.st_blocks, 17);
	assert_int_equal(status.st_atim.tv_sec, -1);
	assert_int_equal(status.st_atim.tv_nsec, 1);
	assert_int_equal(status.st_mtim.tv_sec, 2);
	assert_int_equal(status.st_mtim.tv_nsec, 999999999);
	assert_int_equal(status.st_ctim.tv_sec, (int64_t)1 << 33);
	assert_int_equal(fdbroker_lstat(broker, "/x", &status), 0);
	/* The broker judges the flags. */
	check_failure(fdbroker_statx(broker, "//a/./b", -1, &extended), EINVAL);
	assert_int_equal(fdbroker_statx(broker, "/x", AT_SYMLINK_NOFOLLOW, &extended), 0);
	assert_memory_equal(&extended, &sample, sizeof(sample));
	calls_stop(&fake, broker);
}

static void test_stat_hostile(void **state)
{
	static const char much[sizeof(struct statx) + 1];
	const struct fake_turn turns[] = {
		{FDBROKER_STAT, .path = "/x", .length = 0},
		{FDBROKER_STAT, .path = "/x", .data = &sample, .length = sizeof(sample) - 1},
		{FDBROKER_STAT, .path = "/x", .error = EACCES},
		{FDBROKER_STAT, .path = "/x", .data = much, .length = sizeof(much)},
	};
	struct stat status, before;
	struct statx extended, extended_before;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	memset(&status, '#', sizeof(status));
	memset(&extended, '#', sizeof(extended));
	before = status;
	extended_before = extended;
	broker = calls_start(&fake, turns, COUNT(turns));
	check_failure(fdbroker_stat(broker, "/x", NULL), EFAULT);
	check_failure(fdbroker_statx(broker, "/x", 0, NULL), EFAULT);
	check_failure(fdbroker_stat(broker, NULL, &status), EFAULT);
	check_failure(fdbroker_stat(broker, "", &status), ENOENT);
	check_failure(fdbroker_stat(broker, "/x/", &status), EINVAL);
	check_failure(fdbroker_stat(NULL, "/x", &status), ENOTCONN);
	check_failure(fdbroker_stat(broker, "/x", &status), EPROTO);
	/* It was a reply: the two are in step. */
	check_failure(fdbroker_statx(broker, "/x", 0, &extended), EPROTO);
	check_failure(fdbroker_stat(broker, "/x", &status), EACCES);
	/* Too long: what else there was is not known. */
	check_failure(fdbroker_statx(broker, "/x", 0, &extended), EPROTO);
	check_failure(fdbroker_stat(broker, "/x", &status), EPROTO);
	assert_memory_equal(&status, &before, sizeof(status));
	assert_memory_equal(&extended, &extended_before, sizeof(extended));
	calls_stop(&fake, broker);
}

/* ---- access ----------------------------------------------------------------------------------- */

static void test_access(void **state)
{
	const struct fake_turn turns[] = {
		{FDBROKER_ACCESS, .path = "/x"},
		{FDBROKER_ACCESS, .mode = R_OK | W_OK | X_OK, .path = "/x"},
		{FDBROKER_ACCESS, .mode = R_OK, .path = "/x", .error = EACCES},
		{FDBROKER_ACCESS, .mode = 0xffffffff, .path = "/x", .error = EINVAL},
		{FDBROKER_ACCESS, .path = "/x", .data = "1", .length = 1},
	};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_access(broker, "/x", F_OK), 0);
	assert_int_equal(fdbroker_access(broker, "/x", R_OK | W_OK | X_OK), 0);
	check_failure(fdbroker_access(broker, "/x", R_OK), EACCES);
	check_failure(fdbroker_access(broker, "/x", -1), EINVAL);
	check_failure(fdbroker_access(broker, NULL, F_OK), EFAULT);
	check_failure(fdbroker_access(broker, "/x", F_OK), EPROTO);
	calls_stop(&fake, broker);
}

/* ---- readlink --------------------------------------------------------------------------------- */

static void test_readlink(void **state)
{
	static char longest[PATH_MAX], longer[PATH_MAX + 1];
	const struct fake_turn turns[] = {
		{FDBROKER_READLINK, .path = "/x", .data = "../target", .length = 9},
		{FDBROKER_READLINK, .path = "/x", .data = "../target", .length = 9},
		{FDBROKER_READLINK, .path = "/x", .data = "../target", .length = 9},
		{FDBROKER_READLINK, .path = "/x"},
		{FDBROKER_READLINK, .path = "/x", .error = EINVAL},
		{FDBROKER_READLINK, .path = "/x", .data = "a\0b", .length = 3},
		{FDBROKER_READLINK, .path = "/x", .data = longest, .length = sizeof(longest)},
		{FDBROKER_READLINK, .path = "/x", .data = longer, .length = sizeof(longer)},
	};
	char text[PATH_MAX + 1];
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	memset(longer, 'x', sizeof(longer));
	memset(text, '#', sizeof(text));
	broker = calls_start(&fake, turns, COUNT(turns));
	assert_int_equal(fdbroker_readlink(broker, "/x", text, sizeof(text)), 9);
	assert_memory_equal(text, "../target#", 10);
	memset(text, '#', sizeof(text));
	assert_int_equal(fdbroker_readlink(broker, "/x", text, 9), 9);
	assert_memory_equal(text, "../target#", 10);
	memset(text, '#', sizeof(text));
	assert_int_equal(fdbroker_readlink(broker, "/x", text, 1), 1);
	assert_memory_equal(text, ".#", 2);
	text[0] = '#';
	assert_int_equal(fdbroker_readlink(broker, "/x", text, 9), 0);
	check_failure(fdbroker_readlink(broker, "/x", text, 0), EINVAL);
	check_failure(fdbroker_readlink(broker, "/x", NULL, 9), EFAULT);
	check_failure(fdbroker_readlink(broker, NULL, text, 9), EFAULT);
	check_failure(fdbroker_readlink(broker, "/x", text, 9), EINVAL);
	check_failure(fdbroker_readlink(broker, "/x", text, 9), EPROTO);
	assert_int_equal(text[0], '#');
	assert_int_equal(fdbroker_readlink(broker, "/x", text, sizeof(text)), PATH_MAX);
	assert_int_equal(text[PATH_MAX], '#');
	memset(text, '#', sizeof(text));
	check_failure(fdbroker_readlink(broker, "/x", text, sizeof(text)), EPROTO);
	assert_int_equal(text[0], '#');
	calls_stop(&fake, broker);
}

/* ---- tree ------------------------------------------------------------------------------------- */

static void test_tree(void **state)
{
	const struct fake_turn turns[] = {
		{FDBROKER_TREE, O_RDONLY, .path = "/x", .descriptors = 1},
		{FDBROKER_TREE, O_RDWR, .path = "/x", .descriptors = 1},
		{FDBROKER_TREE, O_WRONLY | O_DIRECTORY, .path = "/x", .error = EINVAL},
		{FDBROKER_TREE, O_RDONLY, .path = "/", .error = EOPNOTSUPP},
		{FDBROKER_TREE, O_RDONLY, .path = "/x"},
	};
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;
	int fd;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	fd = fdbroker_tree(broker, "/x", O_RDONLY);
	assert_true(fd >= 0 && has_content(fd, "/x"));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	/* It can only mean the directory. */
	fd = fdbroker_tree(broker, "/x/./", O_RDWR);
	assert_true(fd >= 0);
	close(fd);
	check_failure(fdbroker_tree(broker, "/x", O_WRONLY | O_DIRECTORY), EINVAL);
	check_failure(fdbroker_tree(broker, "//", O_RDONLY), EOPNOTSUPP);
	check_failure(fdbroker_tree(broker, "/x/..", O_RDONLY), EINVAL);
	check_failure(fdbroker_tree(broker, NULL, O_RDONLY), EFAULT);
	check_failure(fdbroker_tree(broker, "/x", O_RDONLY), EPROTO);
	calls_stop(&fake, broker);
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_hostile),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_readlink),
		cmocka_unit_test(test_tree),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
