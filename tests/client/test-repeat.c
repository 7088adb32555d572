// SPDX-License-Identifier: MIT
/*
 * test-repeat.c: which calls are repeated when they were lost with a worker, and which are not.
 *
 * The whole table, each row by the call itself: the script says that what is sent a second time is what was
 * sent the first time, but for its id, or that nothing is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include "repeat.h"
#include "script.h"

static int call_open(struct fdbroker *broker, int flags)
{
	return fdbroker_open(broker, "/x", flags, 0640);
}

static int call_tree(struct fdbroker *broker, int flags)
{
	return fdbroker_tree(broker, "/x", flags);
}

static int call_statx(struct fdbroker *broker, int flags)
{
	struct statx status;

	return fdbroker_statx(broker, "/x", flags, &status);
}

static int call_access(struct fdbroker *broker, int mode)
{
	return fdbroker_access(broker, "/x", mode);
}

static int call_readlink(struct fdbroker *broker, int unused)
{
	char text[16];

	(void)unused;
	return (int)fdbroker_readlink(broker, "/x", text, sizeof(text));
}

static int call_opendir(struct fdbroker *broker, int unused)
{
	(void)unused;
	return fdbroker_opendir(broker, "/x") ? 0 : -1;
}

static int call_status(struct fdbroker *broker, int unused)
{
	(void)unused;
	return fdbroker_status(broker) ? 0 : -1;
}

static int call_reload(struct fdbroker *broker, int unused)
{
	(void)unused;
	return fdbroker_reload(broker, NULL);
}

static int call_mkdir(struct fdbroker *broker, int mode)
{
	return fdbroker_mkdir(broker, "/x", (mode_t)mode);
}

static int call_remove(struct fdbroker *broker, int directory)
{
	return directory ? fdbroker_rmdir(broker, "/x") : fdbroker_unlink(broker, "/x");
}

static int call_rename(struct fdbroker *broker, int flags)
{
	return fdbroker_rename2(broker, "/x", "/y", (unsigned int)flags);
}

static int call_link(struct fdbroker *broker, int symbolic)
{
	return symbolic ? fdbroker_symlink(broker, "y", "/x") : fdbroker_link(broker, "/x", "/y");
}

static int call_chmod(struct fdbroker *broker, int mode)
{
	return fdbroker_chmod(broker, "/x", (mode_t)mode);
}

static int call_utimens(struct fdbroker *broker, int flags)
{
	return fdbroker_utimens(broker, "/x", NULL, flags);
}

static const struct row {
	const char *name;
	int (*call)(struct fdbroker *broker, int flags);
	int flags;
	bool repeated;
} rows[] = {
	{"open to read", call_open, O_RDONLY, true},
	{"open to write", call_open, O_WRONLY | O_APPEND, true},
	{"open to read and write", call_open, O_RDWR, true},
	{"open a directory", call_open, O_RDONLY | O_DIRECTORY, true},
	{"open, O_EXCL alone", call_open, O_RDWR | O_EXCL, true},
	{"open or create", call_open, O_RDWR | O_CREAT, true},
	{"create", call_open, O_WRONLY | O_CREAT | O_EXCL, false},
	{"truncate", call_open, O_WRONLY | O_TRUNC, false},
	{"truncate or create", call_open, O_WRONLY | O_CREAT | O_TRUNC, false},
	{"create without a name", call_open, O_RDWR | O_TMPFILE, false},
	{"tree", call_tree, O_RDONLY, true},
	{"tree to write", call_tree, O_RDWR, true},
	{"stat", call_statx, 0, true},
	{"lstat", call_statx, AT_SYMLINK_NOFOLLOW, true},
	{"access", call_access, R_OK | W_OK, true},
	{"readlink", call_readlink, 0, true},
	{"list", call_opendir, 0, true},
	{"status", call_status, 0, true},
	{"mkdir", call_mkdir, 0700, false},
	{"rmdir", call_remove, 1, false},
	{"unlink", call_remove, 0, false},
	{"rename", call_rename, 0, false},
	{"exchange", call_rename, RENAME_EXCHANGE, false},
	{"link", call_link, 0, false},
	{"symlink", call_link, 1, false},
	{"chmod", call_chmod, 0600, false},
	{"utimens", call_utimens, 0, false},
	{"reload", call_reload, 0, false},
};

static void test_row(void **state)
{
	const struct row *row = *state;
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;
	int fd;

	script_start(&fake, row->repeated ? "q R s y r e1 q a2" : "q R s y q a1");
	broker = fdbroker_from_fd(fake.fd);
	errno = 0;
	assert_int_equal(row->call(broker, row->flags), -1);
	assert_int_equal(errno, row->repeated ? EACCES : ECONNRESET);
	/* In either case the connection goes on. */
	fd = fdbroker_open(broker, "/y", O_RDONLY);
	assert_true(fd >= 0 && has_content(fd, "/y"));
	close(fd);
	fdbroker_disconnect(broker);
	fake_wait(&fake);
	assert_int_equal(count_descriptors(), before);
}

/* The pages of a directory are each a request; the ones before are not asked for again. */
static void test_page(void **state)
{
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	script_start(&fake, "q p0 q R s y r e2");
	broker = fdbroker_from_fd(fake.fd);
	directory = fdbroker_opendir(broker, "/x");
	assert_non_null(directory);
	assert_string_equal(fdbroker_readdir(directory)->d_name, "n");
	assert_null(fdbroker_readdir(directory));
	assert_int_equal(errno, EACCES);
	fdbroker_closedir(directory);
	fdbroker_disconnect(broker);
	fake_wait(&fake);
}

/* What the library does not know it does not repeat; nor SYNC and RESTARTED, which are its own. */
static void test_unknown(void **state)
{
	uint32_t operation;

	(void)state;
	assert_false(repeat_is_safe(0, 0));
	for (operation = FDBROKER_TREE + 1; operation <= UINT16_MAX; operation++)
		assert_int_equal(
			repeat_is_safe((uint16_t)operation, 0), operation == FDBROKER_WATCH);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_unknown),
	};
	struct CMUnitTest tests[COUNT(rows) + COUNT(others)];

	cases_fill(tests, test_row, rows, sizeof(rows[0]), COUNT(rows), others, COUNT(others));
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
