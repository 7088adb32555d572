// SPDX-License-Identifier: MIT
/*
 * test-exchange.c: one request and its reply, with a broker that means harm or is in trouble.
 *
 * Each case goes through the public interface on a connected socket, and each checks what every
 * case must hold to: the errno is exact, no descriptor stays open, no signal is raised, and the
 * connection goes on where the sides are still in step and only there.
 */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

static const struct exchange_case {
	const char *name;
	struct fake_shape shape;
	int error; /* of the first call: 0 for a descriptor */
	int later; /* of every further one */
} cases[] = {
	{"good", {}, 0, 0},
	{"refused", {.error = EACCES}, EACCES, 0},
	{"malformed", {.error = EBADMSG}, EBADMSG, 0},
	{"largest error", {.error = 4095}, 4095, 0},
	{"error too large", {.error = 4096}, EPROTO, EPROTO},
	{"error negative", {.error = (uint32_t)-EACCES}, EPROTO, EPROTO},
	{"version 0", {.version = -1}, EPROTO, EPROTO},
	{"version 2", {.version = 1}, EPROTO, EPROTO},
	{"error in version 2", {.version = 1, .error = EACCES}, EPROTO, EPROTO},
	{"other operation", {.operation = 1}, EPROTO, EPROTO},
	{"error of another operation", {.operation = 1, .error = EACCES}, EPROTO, EPROTO},
	{"later id", {.id = 1}, EPROTO, EPROTO},
	{"error with a later id", {.id = 1, .error = EACCES}, EPROTO, EPROTO},
	{"id 0", {.id_zero = true}, EPROTO, EPROTO},
	{"error about the connection", {.id_zero = true, .error = EDQUOT}, EDQUOT, ECONNRESET},
	{"reserved not 0", {.reserved = 1}, EPROTO, EPROTO},
	{"short", {.cut = 1}, EPROTO, EPROTO},
	{"short error", {.cut = 1, .error = EACCES}, EPROTO, EPROTO},
	{"one byte", {.cut = 23}, EPROTO, EPROTO},
	{"no byte, a descriptor", {.cut = 24}, EPROTO, EPROTO},
	{"no byte", {.cut = 24, .sent_descriptors = -1}, ECONNRESET, ECONNRESET},
	{"a byte too many", {.more = 1}, EPROTO, EPROTO},
	{"data not asked for", {.more = 8, .data_length = 8}, EPROTO, EPROTO},
	{"data announced", {.data_length = 8}, EPROTO, EPROTO},
	{"much data announced", {.data_length = -1}, EPROTO, EPROTO},
	{"error with data", {.error = EACCES, .more = 8, .data_length = 8}, EPROTO, EPROTO},
	{"a descriptor too many", {.sent_descriptors = 1}, EPROTO, EPROTO},
	{"two descriptors", {.sent_descriptors = 1, .descriptors = 1}, EPROTO, EPROTO},
	{"253 descriptors", {.sent_descriptors = 252}, EPROTO, EPROTO},
	{"253 descriptors announced", {.sent_descriptors = 252, .descriptors = 252}, EPROTO,
		EPROTO},
	{"no descriptor", {.sent_descriptors = -1}, EPROTO, EPROTO},
	{"none announced, one sent", {.descriptors = -1}, EPROTO, EPROTO},
	{"none announced, none sent", {.descriptors = -1, .sent_descriptors = -1}, EPROTO, EPROTO},
	{"error with a descriptor", {.error = EACCES, .sent_descriptors = 1}, EPROTO, EPROTO},
	{"error announcing one", {.error = EACCES, .descriptors = 1}, EPROTO, EPROTO},
	{"answered, closed", {.manner = FAKE_ANSWER_AND_CLOSE}, 0, ECONNRESET},
	{"refused, closed", {.manner = FAKE_ANSWER_AND_CLOSE, .error = EBADMSG}, EBADMSG,
		ECONNRESET},
	{"answered unread, closed", {.manner = FAKE_ANSWER_UNREAD}, 0, ECONNRESET},
	{"refused unread, closed", {.manner = FAKE_ANSWER_UNREAD, .error = EACCES}, EACCES,
		ECONNRESET},
	{"closed", {.manner = FAKE_CLOSE}, ECONNRESET, ECONNRESET},
	{"closed unread", {.manner = FAKE_CLOSE_UNREAD}, ECONNRESET, ECONNRESET},
	{"closed before", {.manner = FAKE_CLOSE_UNASKED}, ECONNRESET, ECONNRESET},
	{"reason, closed before", {.manner = FAKE_ANSWER_UNASKED, .id_zero = true, .error = EDQUOT},
		EDQUOT, ECONNRESET},
	{"descriptor, closed before", {.manner = FAKE_ANSWER_UNASKED}, EPROTO, EPROTO},
};

/*
 * The linker directs the library's sendmsg(2), recvmsg(2) and malloc(3) here. They are counted; and
 * what a broker that has closed leaves behind must be there when the library looks, not a moment
 * later, so the second waits until this process has ended.
 */
static pid_t to_end_first;
static int sent, received, allocated;

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	sent++;
	/* This kernel may not raise SIGPIPE for such a socket; others do. */
	assert_true(flags & MSG_NOSIGNAL);
	return __real_sendmsg(fd, message, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	siginfo_t info;

	received++;
	if (to_end_first > 0)
		waitid(P_PID, (id_t)to_end_first, &info, WEXITED | WNOWAIT);
	return __real_recvmsg(fd, message, flags);
}

void *__wrap_malloc(size_t size)
{
	allocated++;
	return __real_malloc(size);
}

static void check_open(struct fdbroker *broker, const char *path, int error)
{
	check_opens(broker, path, O_RDONLY, error, path);
}

static void test_case(void **state)
{
	const struct exchange_case *test = *state;
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;

	fake_start(&fake, &test->shape);
	if (test->shape.manner == FAKE_CLOSE_UNASKED || test->shape.manner == FAKE_ANSWER_UNASKED)
		fake_wait(&fake);
	broker = fdbroker_from_fd(fake.fd);
	assert_non_null(broker);
	if (test->shape.manner != FAKE_ANSWER)
		to_end_first = fake.pid;
	/* Who answers without reading does not know the path. */
	check_opens(broker, "/first", O_RDONLY, test->error,
		test->shape.manner == FAKE_ANSWER_UNREAD ? "" : "/first");
	check_open(broker, "/second", test->later);
	check_open(broker, "/third", test->later);
	to_end_first = 0;
	fdbroker_disconnect(broker);
	fake_stop(&fake);
	assert_int_equal(count_descriptors(), before);
}

/* ---- the caller's own troubles ----------------------------------------------------------------
 */

static struct fdbroker *start(struct fake *fake, const struct fake_shape *shape)
{
	struct fdbroker *broker;

	fake_start(fake, shape);
	broker = fdbroker_from_fd(fake->fd);
	assert_non_null(broker);
	return broker;
}

static void stop(struct fake *fake, struct fdbroker *broker)
{
	fdbroker_disconnect(broker);
	fake_stop(fake);
}

/* A full table is EMFILE, and only for as long as it is full. */
static void test_table_full(void **state)
{
	const struct fake_shape good = {};
	struct rlimit limit, none;
	struct fdbroker *broker;
	struct fake fake;
	int lowest;

	(void)state;
	broker = start(&fake, &good);
	check_open(broker, "/before", 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	lowest = dup(0);
	close(lowest);
	none = limit;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	check_open(broker, "/full", EMFILE);
	check_open(broker, "/full", EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	check_open(broker, "/after", 0);
	stop(&fake, broker);
}

/* An open is one message each way, and no memory is allocated. */
static void test_lean(void **state)
{
	const struct fake_shape good = {};
	struct fdbroker *broker;
	struct fake fake;
	int fd;

	(void)state;
	broker = start(&fake, &good);
	sent = received = allocated = 0;
	fd = fdbroker_open(broker, "/x", O_RDONLY);
	assert_int_equal(sent, 1);
	assert_int_equal(received, 1);
	close(fd);
	fd = fdbroker_open(broker, "x//y", O_RDWR);
	assert_int_equal(sent, 2);
	assert_int_equal(received, 2);
	assert_int_equal(allocated, 0);
	close(fd);
	stop(&fake, broker);
}

/* The library does not wait for the answer to what it could not send. */
static void test_cannot_send(void **state)
{
	struct fdbroker *broker;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	broker = fdbroker_from_fd(pair[0]);
	assert_non_null(broker);
	check_open(broker, "/x", ECONNRESET);
	check_open(broker, "/x", ECONNRESET);
	fdbroker_disconnect(broker);
	close(pair[1]);
}

/* The connection was reset before the request was sent: the reason lies there all the same. */
static void test_reset_before(void **state)
{
	const struct fake_shape refusal = {
		.manner = FAKE_ANSWER_UNREAD, .id_zero = true, .error = EBADMSG};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	fake_start(&fake, &refusal);
	assert_int_equal(send(fake.fd, "x", 1, 0), 1);
	fake_wait(&fake);
	broker = fdbroker_from_fd(fake.fd);
	check_open(broker, "/x", EBADMSG);
	check_open(broker, "/x", ECONNRESET);
	fdbroker_disconnect(broker);
}

static void ignore_alarm(int number)
{
	(void)number;
}

static void test_signals(void **state)
{
	const struct fake_shape slow = {.delay_ms = 100};
	const struct itimerval storm = {{0, 500}, {0, 500}}, calm = {};
	struct sigaction action = {.sa_handler = ignore_alarm};
	struct fdbroker *broker;
	struct fake fake;
	int i;

	(void)state;
	broker = start(&fake, &slow);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	check_open(broker, "/slow", 0);
	for (i = 0; i < 200; i++)
		check_open(broker, "/quick", 0);
	setitimer(ITIMER_REAL, &calm, NULL);
	stop(&fake, broker);
}

/* A non-blocking socket blocks all the same, and one with a time limit does not run into it. */
static void test_nonblocking(void **state)
{
	const struct fake_shape slow = {.delay_ms = 50};
	const struct timeval limit = {0, 10000};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	fake_start(&fake, &slow);
	assert_int_equal(fcntl(fake.fd, F_SETFL, O_NONBLOCK), 0);
	broker = fdbroker_from_fd(fake.fd);
	check_open(broker, "/x", 0);
	stop(&fake, broker);

	fake_start(&fake, &slow);
	assert_int_equal(setsockopt(fake.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	broker = fdbroker_from_fd(fake.fd);
	check_open(broker, "/x", 0);
	stop(&fake, broker);
}

/* What the kernel adds to a message does not push the descriptor out, and leaves none behind. */
static void test_kernel_additions(void **state)
{
	static const int options[] = {SO_PASSCRED, 76 /* SO_PASSPIDFD, Linux 6.5 */};
	const struct fake_shape good = {};
	struct fdbroker *broker;
	struct fake fake;
	int before, one = 1;
	size_t i;

	(void)state;
	before = count_descriptors();
	fake_start(&fake, &good);
	for (i = 0; i < 2; i++) {
		if (setsockopt(fake.fd, SOL_SOCKET, options[i], &one, sizeof(one)) < 0)
			assert_int_equal(errno, ENOPROTOOPT);
	}
	broker = fdbroker_from_fd(fake.fd);
	check_open(broker, "/x", 0);
	check_open(broker, "/y", 0);
	stop(&fake, broker);
	assert_int_equal(count_descriptors(), before);
}

/* A path too long for a message is told here; one that fits is the broker's to judge. */
static void test_long_paths(void **state)
{
	const size_t most = FDBROKER_REQUEST_MAX - sizeof(struct fdbroker_request);
	const struct fake_shape good = {};
	char *path = malloc(65537);
	struct fdbroker *broker;
	struct fake fake;
	int fd;

	(void)state;
	memset(path, 'x', 65537);
	path[0] = '/';
	path[65536] = '\0';
	broker = start(&fake, &good);
	check_open(broker, path, ENAMETOOLONG);
	path[65535] = '\0';
	check_open(broker, path, ENAMETOOLONG);
	path[most + 1] = '\0';
	check_open(broker, path, ENAMETOOLONG);
	path[most] = '\0';
	fd = fdbroker_open(broker, path, O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
	check_open(broker, path + 1, ENAMETOOLONG);
	check_open(broker, "", ENOENT);
	check_open(broker, "/a/../b", EINVAL);
	assert_int_equal(fdbroker_open(broker, NULL, O_RDONLY), -1);
	assert_int_equal(errno, EFAULT);
	check_open(broker, "/x", 0);
	check_open(NULL, "/x", ENOTCONN);
	stop(&fake, broker);
	free(path);
}

/* ---- status -----------------------------------------------------------------------------------
 */

static void test_status(void **state)
{
	/* A good answer to OPEN is none to STATUS, and data of NUL bytes is no text. */
	const struct fake_shape none = {.descriptors = -1, .sent_descriptors = -1};
	struct fake_shape shape = none;
	struct fdbroker *broker;
	struct fake fake;
	char *text;

	(void)state;
	broker = start(&fake, &none);
	text = fdbroker_status(broker);
	assert_non_null(text);
	assert_string_equal(text, "");
	free(text);
	assert_null(fdbroker_status(broker));
	assert_int_equal(errno, EPROTO);
	stop(&fake, broker);

	shape.more = shape.data_length = 4;
	broker = start(&fake, &shape);
	assert_null(fdbroker_status(broker));
	assert_int_equal(errno, EPROTO);
	/* But it was a reply: the connection is in step. */
	check_open(broker, "/x", 0);
	stop(&fake, broker);

	shape.error = EACCES;
	shape.descriptors = shape.sent_descriptors = shape.more = shape.data_length = 0;
	broker = start(&fake, &shape);
	assert_null(fdbroker_status(broker));
	assert_int_equal(errno, EACCES);
	stop(&fake, broker);

	shape.more = shape.data_length = 4;
	broker = start(&fake, &shape);
	assert_null(fdbroker_status(broker));
	assert_int_equal(errno, EPROTO);
	stop(&fake, broker);
	assert_null(fdbroker_status(NULL));
	assert_int_equal(errno, ENOTCONN);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_lean),
		cmocka_unit_test(test_cannot_send),
		cmocka_unit_test(test_reset_before),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_nonblocking),
		cmocka_unit_test(test_kernel_additions),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_status),
	};
	struct CMUnitTest tests[COUNT(cases) + COUNT(others)];

	/* Whoever started this may have it ignored. */
	signal(SIGPIPE, SIG_DFL);
	cases_fill(tests, test_case, cases, sizeof(cases[0]), COUNT(cases), others, COUNT(others));
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
