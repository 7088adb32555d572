// SPDX-License-Identifier: MIT
/* test-connection.c: making connections by each form of address, and whom to believe (server.c). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"
#include "fdbroker.h"
#include "place.h"
#include "server.h"

/* ---- addresses --------------------------------------------------------------------------------
 */

static void test_addresses(void **state)
{
	int before = count_descriptors();
	struct fake fake;

	(void)state;
	fake_listen(&fake, place_abstract, geteuid());
	assert_int_equal(place_try(place_abstract), 0);
	fake_stop(&fake);
	assert_int_equal(place_try(place_abstract), ECONNREFUSED);

	assert_int_equal(place_try(place_pathname), ENOENT);
	fake_listen(&fake, place_pathname, geteuid());
	assert_int_equal(place_try(place_pathname), 0);
	fake_stop(&fake);
	assert_int_equal(place_try(place_pathname), ECONNREFUSED);
	unlink(place_pathname);

	assert_int_equal(place_try(""), EINVAL);
	assert_int_equal(place_try("fdbroker"), EINVAL);
	assert_int_equal(count_descriptors(), before);
}

/* Nothing reaches a program that is executed. */
static void test_close_on_exec(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	int next;

	(void)state;
	fake_listen(&fake, place_abstract, geteuid());
	next = dup(0);
	close(next);
	broker = fdbroker_connect(place_abstract);
	assert_non_null(broker);
	assert_int_equal(fcntl(next, F_GETFD), FD_CLOEXEC);
	/* errno stays as it is even where the program has closed the socket behind our back. */
	close(next);
	errno = EDOM;
	fdbroker_disconnect(broker);
	assert_int_equal(errno, EDOM);
	fake_stop(&fake);
}

static void ignore_alarm(int number)
{
	(void)number;
}

/* A signal while connect(2) waits for room in the backlog does not show. */
static void test_signals(void **state)
{
	const struct itimerval storm = {{0, 500}, {0, 500}}, calm = {};
	struct sigaction action = {.sa_handler = ignore_alarm};
	struct sigaction before;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct fdbroker *first, *second;
	pid_t pid;

	(void)state;
	strcpy(name.sun_path, place_pathname);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 0), 0);
	first = fdbroker_connect(place_pathname);
	assert_non_null(first);
	pid = fork();
	if (pid == 0) {
		usleep(50000);
		_exit(accept(listener, NULL, NULL) < 0);
	}
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &storm, NULL);
	second = fdbroker_connect(place_pathname);
	setitimer(ITIMER_REAL, &calm, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_non_null(second);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fdbroker_disconnect(first);
	fdbroker_disconnect(second);
	close(listener);
	unlink(place_pathname);
	alarm(60);
}

static void test_environment(void **state)
{
	struct fake fake;

	(void)state;
	fake_listen(&fake, place_abstract, geteuid());
	setenv("FDBROKER_SOCKET", place_abstract, 1);
	assert_int_equal(place_try(NULL), 0);
	/* What is set is meant: the defaults are no substitute for it. */
	setenv("FDBROKER_SOCKET", "fd:1000000", 1);
	assert_int_equal(place_try(NULL), EBADF);
	/* Empty is as good as unset: no address would be EINVAL. */
	setenv("FDBROKER_SOCKET", "", 1);
	assert_int_not_equal(place_try(NULL), EINVAL);
	unsetenv("FDBROKER_SOCKET");
	fake_stop(&fake);
}

static void test_descriptor(void **state)
{
	const struct fake_shape good = {};
	struct fdbroker *broker;
	struct fake fake;
	char address[32];
	int pair[2], fd;

	(void)state;
	fake_start(&fake, &good);
	assert_false(fcntl(fake.fd, F_GETFD) & FD_CLOEXEC);
	snprintf(address, sizeof(address), "fd:%d", fake.fd);
	broker = fdbroker_connect(address);
	assert_non_null(broker);
	assert_true(fcntl(fake.fd, F_GETFD) & FD_CLOEXEC);
	fd = fdbroker_open(broker, "/x", O_RDONLY);
	assert_true(has_content(fd, "/x"));
	close(fd);

	/* A socket has one owner. */
	assert_int_equal(place_try(address), EBUSY);
	assert_null(fdbroker_from_fd(fake.fd));
	assert_int_equal(errno, EBUSY);
	errno = EDOM;
	fdbroker_disconnect(broker);
	fdbroker_disconnect(NULL);
	assert_int_equal(errno, EDOM);
	assert_int_equal(place_try(address), EBADF);
	fake_stop(&fake);

	assert_null(fdbroker_from_fd(-1));
	assert_int_equal(errno, EBADF);
	fd = open("/dev/null", O_RDONLY);
	assert_null(fdbroker_from_fd(fd));
	assert_int_equal(errno, EINVAL);
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_null(fdbroker_from_fd(pair[0]));
	assert_int_equal(errno, EINVAL);
	/* What failed to become a connection is still the caller's, and unchanged. */
	assert_int_equal(fcntl(pair[0], F_GETFD), 0);
	close(pair[0]);
	close(pair[1]);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_null(fdbroker_from_fd(fd));
	assert_int_equal(errno, EINVAL);
	close(fd);
}

/* ---- the server -------------------------------------------------------------------------------
 */

static void test_trust(void **state)
{
	static const struct {
		struct server_facts facts;
		bool trusted;
	} cases[] = {
		/* server, caller, named, overflow, all_mapped, name_is_owned */
		{{0, 5001, SERVER_NOBODY, 65534, true, false}, true},
		{{5001, 5001, SERVER_NOBODY, 65534, true, false}, true},
		{{5002, 5001, SERVER_NOBODY, 65534, true, false}, false},
		{{5002, 5001, SERVER_NOBODY, 65534, true, true}, false},
		{{5002, 0, SERVER_NOBODY, 65534, true, true}, false},
		{{5002, 5001, 5002, 65534, true, false}, true},
		{{5003, 5001, 5002, 65534, true, true}, false},
		/* nobody, where that is a user */
		{{65534, 5001, SERVER_NOBODY, 65534, true, true}, false},
		{{65534, 65534, SERVER_NOBODY, 65534, true, false}, true},
		/* the overflow uid, where it stands for whoever has no mapping */
		{{65534, 5001, SERVER_NOBODY, 65534, false, true}, true},
		{{65534, 5001, SERVER_NOBODY, 65534, false, false}, false},
		{{65534, 65534, SERVER_NOBODY, 65534, false, false}, false},
		{{65534, 65534, SERVER_NOBODY, 65534, false, true}, true},
		{{77, 77, SERVER_NOBODY, 77, false, false}, false},
		{{65534, 0, SERVER_NOBODY, 77, false, true}, false},
		/* "nobody is named" is not a name */
		{{(uid_t)-1, 5001, SERVER_NOBODY, 65534, true, true}, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (server_is_trusted(&cases[i].facts) != cases[i].trusted)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_trust),
	};

	unsetenv("FDBROKER_SOCKET");
	alarm(60);
	return cmocka_run_group_tests(tests, place_make, place_remove);
}
