/* SPDX-License-Identifier: MIT */
/* policy-system.c: whose files count, on real ones. */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/fdbroker-policy-XXXXXX");
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int remove_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return chdir("/") || system(command);
}

static void write_file(const char *name, mode_t mode)
{
	int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(file >= 0);
	assert_int_equal(write(file, "text", 4), 4);
	assert_int_equal(fchmod(file, mode), 0);
	close(file);
}

/* Reads, and gives back the status; *reason is NULL where it was read. */
static int read_it(const char *path, const char **reason)
{
	struct policy_environment environment;
	char *text = NULL;
	size_t length = 0;
	int status;

	policy_system_environment(&environment);
	*reason = NULL;
	status = environment.read_file(environment.context, path, &text, &length, reason);
	if (status == 0) {
		assert_int_equal(length, 4);
		assert_memory_equal(text, "text", 4);
	}
	free(text);
	return status;
}

static void expect_reason(const char *path, const char *wanted)
{
	const char *reason;

	assert_int_not_equal(read_it(path, &reason), 0);
	assert_non_null(reason);
	if (!strstr(reason, wanted))
		fail_msg("'%s' is not in '%s'", wanted, reason);
}

static void expect_read(const char *path)
{
	const char *reason;

	if (read_it(path, &reason))
		fail_msg("%s: %s", path, reason);
}

static void test_reads(void **state)
{
	char path[128];

	(void)state;
	write_file("file", 0600);
	expect_read("file");
	expect_read("./file");
	snprintf(path, sizeof(path), "%s/file", directory);
	expect_read(path);
	assert_int_equal(mkdir("d", 0755), 0);
	expect_read("d/../file");
	assert_int_equal(symlink("../file", "d/link"), 0);
	expect_read("d/link");
	assert_int_equal(symlink(path, "absolute"), 0);
	expect_read("absolute");
}

static void test_same_file(void **state)
{
	struct policy_environment environment;
	uint64_t first[2], second[2];

	(void)state;
	policy_system_environment(&environment);
	write_file("file", 0600);
	write_file("other", 0600);
	assert_int_equal(symlink("file", "link"), 0);
	expect_read("file");
	environment.last_file(NULL, first);
	expect_read("link");
	environment.last_file(NULL, second);
	assert_memory_equal(first, second, sizeof(first));
	expect_read("other");
	environment.last_file(NULL, second);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void test_refusals(void **state)
{
	(void)state;
	expect_reason("none", "does not exist");
	expect_reason("none/file", "does not exist");
	expect_reason(".", "is a directory");
	write_file("group", 0620);
	expect_reason("group", "writable by its group (mode 0620): chmod go-w");
	write_file("others", 0602);
	expect_reason("others", "writable by others (mode 0602): chmod go-w");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	expect_reason("fifo", "is not a regular file");
	assert_int_equal(symlink("loop", "loop"), 0);
	expect_reason("loop", "Too many levels of symbolic links");
	write_file("file", 0600);
	expect_reason("file/x", "Not a directory");
}

static void test_directories(void **state)
{
	(void)state;
	assert_int_equal(mkdir("open", 0700), 0);
	assert_int_equal(chmod("open", 0777), 0);
	write_file("open/file", 0600);
	expect_reason("open/file", "/open writable by others (mode 0777)");
	assert_int_equal(mkdir("open/inner", 0755), 0);
	write_file("open/inner/file", 0600);
	expect_reason("open/inner/file", "/open writable by others");
	/* What a link leads through counts as well. */
	assert_int_equal(symlink("open/inner/file", "link"), 0);
	expect_reason("link", "/open writable by others");
	assert_int_equal(symlink("open/inner", "dir"), 0);
	expect_reason("dir/file", "/open writable by others");
	/* Sticky helps where it is root's. */
	assert_int_equal(chmod("open", 01777), 0);
	if (geteuid() == 0)
		expect_read("open/file");
	else
		expect_reason("open/file", "writable by others");
}

static void test_owners(void **state)
{
	const char *reason;

	(void)state;
	if (geteuid() != 0) {
		print_message("# files of another owner: needs root\n");
		skip();
	}
	write_file("theirs", 0600);
	assert_int_equal(chown("theirs", 5001, 5001), 0);
	expect_reason("theirs", "is owned by uid 5001, which could change it");
	assert_int_equal(mkdir("dir", 0755), 0);
	write_file("dir/file", 0600);
	assert_int_equal(chown("dir", 5001, 5001), 0);
	expect_reason("dir/file", "/dir owned by uid 5001");
	/* A sticky directory helps only where it is root's. */
	assert_int_equal(mkdir("sticky", 0755), 0);
	write_file("sticky/file", 0600);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown("sticky", 5001, 5001), 0);
	assert_int_equal(chmod("sticky", 01777), 0);
	expect_reason("sticky/file", "/sticky owned by uid 5001");
	write_file("file", 0600);
	assert_int_equal(symlink("file", "link"), 0);
	assert_int_equal(lchown("link", 5001, 5001), 0);
	expect_reason("link", "symbolic link link owned by uid 5001");
	/* Root's files serve an ordinary uid; another's do not, and neither does what it cannot
	 * read. */
	assert_int_equal(chmod(directory, 0755), 0);
	write_file("root", 0644);
	assert_int_equal(seteuid(5001), 0);
	expect_read("root");
	expect_read("theirs");
	assert_int_equal(read_it("file", &reason), -EACCES);
	assert_non_null(strstr(reason, "cannot be read by uid 5001: permission denied"));
	assert_int_equal(seteuid(0), 0);
}

static void test_lookups(void **state)
{
	struct policy_environment environment;
	struct policy_user user;
	gid_t gid = 1;
	char **paths;
	const char *reason = NULL;
	size_t count;

	(void)state;
	policy_system_environment(&environment);
	assert_int_equal(environment.user_by_name(NULL, "root", &user), 0);
	assert_int_equal(user.uid, 0);
	assert_int_equal(environment.user_by_name(NULL, "no-such-user", &user), -ENOENT);
	assert_int_equal(environment.group_by_name(NULL, "root", &gid), 0);
	assert_int_equal(gid, 0);
	assert_int_equal(environment.group_by_name(NULL, "no-such-group", &gid), -ENOENT);
	write_file("b.policy", 0600);
	write_file("a.policy", 0600);
	assert_int_equal(environment.glob(NULL, "*.policy", &paths, &count, &reason), 0);
	assert_int_equal(count, 2);
	assert_string_equal(paths[0], "a.policy");
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
	assert_int_equal(environment.glob(NULL, "*.none", &paths, &count, &reason), 0);
	assert_int_equal(count, 0);
	/* A directory that is not there, or that others can write to, could hold anything. */
	assert_int_equal(environment.glob(NULL, "none/*", &paths, &count, &reason), -ENOENT);
	assert_string_equal(reason, "is in a directory none/ that does not exist");
	assert_int_equal(environment.glob(NULL, "a.policy/*", &paths, &count, &reason), -ENOTDIR);
	assert_int_equal(mkdir("open *", 0700), 0);
	assert_int_equal(chmod("open *", 0777), 0);
	assert_int_equal(environment.glob(NULL, "open \\*/*", &paths, &count, &reason), -EPERM);
	assert_non_null(strstr(reason, "writable by others (mode 0777)"));
	assert_int_equal(chmod("open *", 0755), 0);
	write_file("open */x", 0600);
	assert_int_equal(environment.glob(NULL, "open \\*/*", &paths, &count, &reason), 0);
	assert_int_equal(count, 1);
	assert_string_equal(paths[0], "open */x");
	free(paths[0]);
	free(paths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_same_file, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_refusals, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_directories, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_owners, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_lookups, make_directory, remove_directory),
	};

	umask(022);
	return cmocka_run_group_tests_name("policy-system", tests, NULL, NULL);
}
