// SPDX-License-Identifier: MIT
/*
 * test-users.c: what needs several users, namespaces, an empty root or a set-uid program.
 *
 * Not every machine and not every user can do that. So each test is run by itself, by its name, and
 * exits with 77 and the reason where it cannot run, which meson reports as skipped.
 *
 * Started as "connect" this program is the set-uid program of one of them: it connects to the
 * default address and returns the errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"
#include "fdbroker.h"
#include "mask.h"
#include "place.h"

#define EXIT_CANNOT 77

static const char *cannot; /* why the test could not run after all */

/* Runs `run` in a child as `uid`; returns its result. */
static int as_user(uid_t uid, int (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (uid != geteuid() && setresuid(uid, uid, uid) < 0)
			_exit(EXIT_CANNOT);
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int try_abstract(void)
{
	return place_try(place_abstract);
}

static void test_stranger(void **state)
{
	const struct fake_shape good = {};
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;
	char address[32];
	int fd;

	(void)state;
	fake_listen(&fake, place_abstract, 5001);
	assert_int_equal(place_try(place_abstract), EPERM);
	assert_int_equal(as_user(5001, try_abstract), 0);
	assert_int_equal(as_user(5002, try_abstract), EPERM);
	broker = fdbroker_connect_to(place_abstract, 5001);
	assert_non_null(broker);
	fdbroker_disconnect(broker);
	assert_null(fdbroker_connect_to(place_abstract, 5002));
	assert_int_equal(errno, EPERM);
	fake_stop(&fake);

	fake_listen(&fake, place_pathname, 5001);
	assert_int_equal(place_try(place_pathname), EPERM);
	broker = fdbroker_connect_to(place_pathname, 5001);
	assert_non_null(broker);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
	unlink(place_pathname);

	/* fd:N is checked as well; fdbroker_from_fd is not. */
	if (setresuid(5001, 5001, 0) < 0)
		fail();
	fake_start(&fake, &good);
	if (setresuid(0, 0, 0) < 0)
		fail();
	snprintf(address, sizeof(address), "fd:%d", fake.fd);
	assert_int_equal(place_try(address), EPERM);
	broker = fdbroker_from_fd(fake.fd);
	assert_non_null(broker);
	fd = fdbroker_open(broker, "/x", O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
	assert_int_equal(count_descriptors(), before);
}

/*
 * In a user namespace without mappings everybody is 65534, the caller too: an abstract name is not
 * believed then, and an address that somebody owns is.
 */
static int try_unmapped(void)
{
	int error;

	if (unshare(CLONE_NEWUSER) < 0)
		return EXIT_CANNOT;
	error = place_try(place_abstract);
	if (error != EPERM)
		return error == 0 ? 1 : error;
	error = place_try(place_pathname);
	return error == 0 ? 0 : 100 + error;
}

static void test_unmapped(void **state)
{
	struct fake by_name, by_path;
	int result;

	(void)state;
	fake_listen(&by_name, place_abstract, geteuid());
	fake_listen(&by_path, place_pathname, geteuid());
	result = as_user(geteuid() == 0 ? 5001 : geteuid(), try_unmapped);
	fake_stop(&by_name);
	fake_stop(&by_path);
	unlink(place_pathname);
	if (result == EXIT_CANNOT) {
		cannot = "no user namespaces for ordinary users here";
		return;
	}
	assert_int_equal(result, 0);
}

/* ---- a set-uid program ------------------------------------------------------------------------
 */

static int become_secure(void)
{
	char program[96];

	snprintf(program, sizeof(program), "%s/secure", place_directory);
	execl(program, program, "connect", (char *)NULL);
	return EXIT_CANNOT;
}

static int connect_default(void)
{
	if (!getauxval(AT_SECURE))
		return EXIT_CANNOT;
	return fdbroker_connect(NULL) ? 0 : errno;
}

/* The environment is the caller's: it must not tell a set-uid program where its broker is. */
static void test_secure(void **state)
{
	char command[256];
	int result;

	(void)state;
	snprintf(command, sizeof(command), "cp /proc/%d/exe %s/secure", (int)getpid(),
		place_directory);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/secure", place_directory);
	assert_int_equal(chmod(command, 04755), 0);
	/* No address at all: EINVAL would show that it was looked at. */
	setenv("FDBROKER_SOCKET", "nowhere", 1);
	result = as_user(5001, become_secure);
	unsetenv("FDBROKER_SOCKET");
	unlink(command);
	if (result == EXIT_CANNOT) {
		cannot = "set-uid programs have no effect in /tmp";
		return;
	}
	assert_int_not_equal(result, EINVAL);
}

/* ---- an empty root ----------------------------------------------------------------------------
 */

/* In an empty root there is no /proc. */
static int read_mask(void)
{
	mode_t mask;

	umask(053);
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0)
		return EXIT_CANNOT;
	if (chroot(place_directory) < 0 || chdir("/") < 0)
		return EXIT_CANNOT;
	if (mask_from_proc(&mask) != -ENOENT)
		return 1;
	return mask_get() == 053 ? 0 : 2;
}

static void test_mask_without_proc(void **state)
{
	int result = as_user(geteuid(), read_mask);

	(void)state;
	if (result == EXIT_CANNOT) {
		cannot = "an ordinary user cannot chroot here";
		return;
	}
	assert_int_equal(result, 0);
}

static const struct {
	const char *name;
	void (*run)(void **state);
	bool needs_root;
} tests[] = {
	{"stranger", test_stranger, true},
	{"unmapped", test_unmapped, false},
	{"set-uid", test_secure, true},
	{"no-proc", test_mask_without_proc, false},
};

static int run_one(size_t i)
{
	const struct CMUnitTest test[] = {{tests[i].name, tests[i].run, NULL, NULL, NULL}};
	int failed;

	if (tests[i].needs_root && geteuid() != 0) {
		puts("skipped: only root can be several users");
		return EXIT_CANNOT;
	}
	unsetenv("FDBROKER_SOCKET");
	alarm(60);
	failed = cmocka_run_group_tests(test, place_make, place_remove);
	if (failed == 0 && cannot) {
		printf("skipped: %s\n", cannot);
		return EXIT_CANNOT;
	}
	return failed;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc == 2 && strcmp(argv[1], "connect") == 0)
		return connect_default();
	for (i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(argv[1], tests[i].name) == 0)
			return run_one(i);
	}
	fputs("usage: client-users TEST\n", stderr);
	return 2;
}
