// SPDX-License-Identifier: MIT
/*
 * test-restart.c: a worker dies, another takes the connection over, and the library finds out what became of
 * the request that was under way.
 *
 * Each case is a script of what the workers do (script.h) and what the calls then return; where all is told,
 * no descriptor is left and nothing more is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"
#include "script.h"

#define CREATE (O_WRONLY | O_CREAT | O_EXCL)

#define CALLS_MAX 4

static const struct restart_case {
	const char *name, *script;
	int flags;	       /* of the opens */
	int errors[CALLS_MAX]; /* of each in turn, 0 for a descriptor; the last is -1 */
} cases[] = {
	{"before it is asked, taken", "R q s y0 a0", 0, {0, -1}},
	{"before it is asked, answered at once", "R q s a0 y", 0, {0, -1}},
	{"before it is asked, and lost after", "R q s R s y r a1", 0, {0, -1}},
	{"lost", "q R s y r a1", 0, {0, -1}},
	{"lost, then refused", "q R s y r e1", 0, {EACCES, -1}},
	{"lost twice", "q R s y r R s y r a2", 0, {0, -1}},
	{"taken, answered later", "q R s y0 t a0", 0, {0, -1}},
	{"taken, refused later", "q R s y0 t e0", 0, {EACCES, -1}},
	{"taken, lost after", "q R s y0 t R s y r a1", 0, {0, -1}},
	{"answered before SYNC's reply", "q R s a0 y q a1", 0, {0, 0, -1}},
	{"SYNC's reply behind the next request", "q R s a0 q y t a1", 0, {0, 0, -1}},
	{"SYNC's reply never comes", "q R s a0 q a1 q a2", 0, {0, 0, 0, -1}},
	{"a late SYNC lost with the next request", "q R s a0 q R s y r a2", 0, {0, 0, -1}},
	{"a late SYNC answered with the next request lost", "q R s a0 q R s o t y r a2", 0,
		{0, 0, -1}},
	{"twice, the first SYNC lost", "q R s R s y r a1", 0, {0, -1}},
	{"twice, the first SYNC says nothing", "q R s R s o t y0 t a0", 0, {0, -1}},
	{"twice, the first SYNC answered last", "q R s R s y r o t a1 q a2", 0, {0, 0, -1}},
	{"twice, the first SYNC answered with the next", "q R s R s y0 a0 q o t a1", 0, {0, 0, -1}},
	{"SYNC refused", "q R s x t", 0, {ECONNRESET, ECONNRESET, -1}},
	{"SYNC refused when it does not matter", "q R s a0 q x t a1", 0, {0, 0, -1}},
	/* What must not be made twice. */
	{"creation, lost", "q R s y", CREATE, {ECONNRESET, -1}},
	{"creation, lost, the next not", "q R s y q a1 q R s y q a3", CREATE,
		{ECONNRESET, 0, ECONNRESET, 0}},
	{"creation, taken", "q R s y0 t a0", CREATE, {0, -1}},
	{"creation, before it is asked", "R q s y0 a0", CREATE, {0, -1}},
	{"creation, answered before SYNC's reply", "q R s a0 q y t a1", CREATE, {0, 0, -1}},
	{"creation, a late SYNC says nothing", "q R s a0 q R s o t y1 t a1", CREATE, {0, 0, -1}},
	/* The end. */
	{"closed", "q R c", 0, {ECONNRESET, ECONNRESET, -1}},
	{"closed after SYNC", "q R s c", 0, {ECONNRESET, ECONNRESET, -1}},
	{"closed before it is asked", "R c", 0, {ECONNRESET, ECONNRESET, -1}},
	{"closed after the answer", "q R s a0 c", 0, {0, ECONNRESET, -1}},
	{"the reason after SYNC", "q R s E", 0, {EDQUOT, ECONNRESET, -1}},
	/* Harm. */
	{"the lost one answered after all", "q R s y q a0", 0, {EPROTO, EPROTO, -1}},
	{"RESTARTED with a descriptor", "q F", 0, {EPROTO, EPROTO, -1}},
	{"RESTARTED with data", "q D", 0, {EPROTO, EPROTO, -1}},
	{"RESTARTED with an id", "q I", 0, {EPROTO, EPROTO, -1}},
	{"SYNC never asked", "q z", 0, {EPROTO, EPROTO, -1}},
	{"another SYNC", "q R s z", 0, {EPROTO, EPROTO, -1}},
	{"a SYNC answered twice", "q R s y0 y0", 0, {EPROTO, EPROTO, -1}},
	{"a forgotten SYNC answered twice", "q R s R s o o", 0, {EPROTO, EPROTO, -1}},
	{"SYNC with half an id", "q R s h", 0, {EPROTO, EPROTO, -1}},
	{"SYNC cut short", "q R s l", 0, {EPROTO, EPROTO, -1}},
	{"SYNC with a descriptor", "q R s f r a1", 0, {0, -1}},
};

/* The linker directs the library's recvmsg(2) here. */
static int received;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	received++;
	return __real_recvmsg(fd, message, flags);
}

static struct fdbroker *start(struct fake *fake, const char *script)
{
	struct fdbroker *broker;

	script_start(fake, script);
	broker = fdbroker_from_fd(fake->fd);
	assert_non_null(broker);
	return broker;
}

/* The fake ends when nobody has the other end any more, and finds fault with what was asked besides. */
static void stop(struct fake *fake, struct fdbroker *broker)
{
	fdbroker_disconnect(broker);
	fake_wait(fake);
}

static void test_case(void **state)
{
	const struct restart_case *test = *state;
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;
	char path[16];
	int i;

	broker = start(&fake, test->script);
	for (i = 0; i < CALLS_MAX && test->errors[i] >= 0; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		check_opens(broker, path, test->flags, test->errors[i], path);
	}
	stop(&fake, broker);
	assert_int_equal(count_descriptors(), before);
}

/* ---- what lies there already ------------------------------------------------------------------
 */

static const struct fdbroker_reply restarted = {
	.version = FDBROKER_PROTOCOL_VERSION,
	.operation = FDBROKER_RESTARTED,
};

/* A reply that lies behind RESTARTED is found before anybody is asked for it; so are 50 workers. */
static void test_in_the_queue(void **state)
{
	const struct fdbroker_reply refusal = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_OPEN,
		.id = 1,
		.error = ENOENT,
	};
	struct fdbroker *broker;
	char message[256];
	int pair[2], i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	for (i = 0; i < 50; i++)
		fake_send(pair[1], &restarted, sizeof(restarted), -1, 0);
	fake_send(pair[1], &refusal, sizeof(refusal), -1, 0);
	broker = fdbroker_from_fd(pair[0]);
	check_opens(broker, "/x", O_RDONLY, ENOENT, "/x");
	assert_int_equal(recv(pair[1], message, sizeof(message), 0), 26);
	assert_int_equal(recv(pair[1], message, sizeof(message), 0), -1);
	fdbroker_disconnect(broker);
	close(pair[1]);
}

/*
 * The linker directs the library's send(2) here: between its last look and SYNC the broker answers and
 * closes. The answer counts.
 */
static int closes_meanwhile = -1;
static struct fdbroker_reply last_words;

ssize_t __real_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
	if (closes_meanwhile >= 0) {
		fake_send(closes_meanwhile, &last_words, sizeof(last_words), -1, 0);
		close(closes_meanwhile);
		closes_meanwhile = -1;
		/* This kernel may not raise SIGPIPE for such a socket; others do. */
		assert_true(flags & MSG_NOSIGNAL);
	}
	return __real_send(fd, data, length, flags);
}

/* And its recv(2): the connection is reset between a look at SYNC's reply and its receipt. */
static bool resets;

ssize_t __real_recv(int fd, void *data, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t length, int flags);

ssize_t __wrap_recv(int fd, void *data, size_t length, int flags)
{
	if (!resets)
		return __real_recv(fd, data, length, flags);
	resets = false;
	errno = ECONNRESET;
	return -1;
}

static void test_reset_before_sync(void **state)
{
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = start(&fake, "q R s y r a1");
	resets = true;
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	assert_false(resets);
	stop(&fake, broker);
}

static void check_last_words(uint16_t operation, uint32_t id, int error)
{
	struct fdbroker *broker;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fake_send(pair[1], &restarted, sizeof(restarted), -1, 0);
	last_words = (struct fdbroker_reply){
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = operation,
		.id = id,
		.error = (uint32_t)error,
	};
	closes_meanwhile = pair[1];
	broker = fdbroker_from_fd(pair[0]);
	check_opens(broker, "/x", O_RDONLY, error, "/x");
	assert_int_equal(closes_meanwhile, -1);
	check_opens(broker, "/x", O_RDONLY, ECONNRESET, "/x");
	fdbroker_disconnect(broker);
}

static void test_last_words(void **state)
{
	(void)state;
	check_last_words(FDBROKER_OPEN, 1, ENOENT);
	check_last_words(0, 0, EDQUOT);
}

/* ---- no room ----------------------------------------------------------------------------------
 */

/* Fills the way to the broker, with messages of one byte. */
static void fill(int fd)
{
	while (send(fd, "x", 1, MSG_DONTWAIT) == 1)
		;
	assert_int_equal(errno, EAGAIN);
}

/* Reads what the way was filled with, and the message behind it, which is returned. */
static struct fdbroker_request empty(int fd)
{
	struct {
		struct fdbroker_request header;
		char path[16];
	} message = {};
	ssize_t length;

	do
		length = recv(fd, &message, sizeof(message), 0);
	while (length == 1);
	if (length < (ssize_t)sizeof(message.header))
		_exit(FAKE_BAD_REQUEST);
	return message.header;
}

static void require_operation(const struct fdbroker_request *request, uint16_t operation)
{
	if (request->operation != operation)
		_exit(FAKE_BAD_REQUEST);
}

static void reply_to(int fd, const struct fdbroker_request *request)
{
	const bool opens = request->operation == FDBROKER_OPEN;
	const struct fdbroker_reply header = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = request->operation,
		.id = request->id,
		.descriptors = opens,
	};
	int file = fake_text_file("/x");

	fake_send(fd, &header, sizeof(header), file, opens);
	close(file);
}

__attribute__((noreturn)) static void finish(int fd)
{
	char byte;

	_exit(recv(fd, &byte, 1, 0) == 0 ? 0 : FAKE_BAD_REQUEST);
}

/* A broker that reads nothing until its messages are taken is not waited for with the request. */
static void test_no_room_for_request(void **state)
{
	struct fdbroker_request request;
	struct fdbroker *broker;
	struct fake fake;
	int fd;

	(void)state;
	fd = fake_fork(&fake);
	if (fd >= 0) {
		fake_send(fd, &restarted, sizeof(restarted), -1, 0);
		fake_settle(fd);
		request = empty(fd);
		require_operation(&request, FDBROKER_OPEN);
		reply_to(fd, &request);
		finish(fd);
	}
	fill(fake.fd);
	broker = fdbroker_from_fd(fake.fd);
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	stop(&fake, broker);
}

/* Nor with SYNC. */
static void test_no_room_for_sync(void **state)
{
	struct fdbroker_request request;
	struct fdbroker *broker;
	struct fake fake;
	int fd, full, left, number;
	sigset_t signals;

	(void)state;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = fake_fork(&fake);
	if (fd >= 0) {
		/* Room for one message: the request. */
		sigwait(&signals, &number);
		recv(fd, &number, 1, 0);
		fake_send(fd, &restarted, sizeof(restarted), -1, 0);
		fake_settle(fd);
		fake_send(fd, &restarted, sizeof(restarted), -1, 0);
		fake_settle(fd);
		request = empty(fd);
		require_operation(&request, FDBROKER_OPEN);
		request = empty(fd);
		require_operation(&request, FDBROKER_SYNC);
		reply_to(fd, &request);
		request = empty(fd);
		require_operation(&request, FDBROKER_OPEN);
		reply_to(fd, &request);
		finish(fd);
	}
	fill(fake.fd);
	assert_int_equal(ioctl(fake.fd, SIOCOUTQ, &full), 0);
	kill(fake.pid, SIGUSR1);
	do {
		usleep(1000);
		assert_int_equal(ioctl(fake.fd, SIOCOUTQ, &left), 0);
	} while (left == full);
	broker = fdbroker_from_fd(fake.fd);
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	stop(&fake, broker);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

/* ---- no end -----------------------------------------------------------------------------------
 */

static char *repeat(const char *first, const char *part, int times, const char *last)
{
	char *script = malloc(strlen(first) + strlen(part) * (size_t)times + strlen(last) + 1);
	int i;

	strcpy(script, first);
	for (i = 0; i < times; i++)
		strcat(script, part);
	return strcat(script, last);
}

/* A hundred workers may fail a request; the next request has a hundred of its own. */
static void test_given_up(void **state)
{
	char *script = repeat("q", " R s y r", 99, " R s y q R s y r a101");
	int before = count_descriptors();
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = start(&fake, script);
	check_opens(broker, "/x", O_RDONLY, ECONNRESET, "/x");
	check_opens(broker, "/y", O_RDONLY, 0, "/y");
	stop(&fake, broker);
	free(script);

	/* Where it is not even known whether it was lost, the connection is of no use any more. */
	script = repeat("q", " R s", 100, " R t");
	broker = start(&fake, script);
	check_opens(broker, "/x", O_RDONLY, ECONNRESET, "/x");
	check_opens(broker, "/y", O_RDONLY, ECONNRESET, "/y");
	stop(&fake, broker);
	free(script);

	script = repeat("q", " R s y r", 99, " a99");
	broker = start(&fake, script);
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	stop(&fake, broker);
	free(script);
	assert_int_equal(count_descriptors(), before);
}

/* ---- what is left of it -----------------------------------------------------------------------
 */

/* A SYNC whose reply is awaited costs a look at each message; nothing of it goes to a child of fork. */
static void test_nothing_left(void **state)
{
	struct fdbroker *broker;
	char address[64];
	struct fake fake;
	int status;
	pid_t pid;

	(void)state;
	snprintf(address, sizeof(address), "@fdb-restart-%d", (int)getpid());
	fake_listen(&fake, address, geteuid());
	broker = fdbroker_connect(address);
	assert_non_null(broker);
	check_opens(broker, "/restarted", O_RDONLY, 0, "/restarted");
	pid = fork();
	if (pid == 0) {
		received = 0;
		check_opens(broker, "/x", O_RDONLY, 0, "/x");
		_exit(received == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	received = 0;
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	assert_int_equal(received, 2);
	fdbroker_disconnect(broker);
	fake_stop(&fake);

	broker = start(&fake, "q R s y r a1 q a2");
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	received = 0;
	check_opens(broker, "/x", O_RDONLY, 0, "/x");
	assert_int_equal(received, 1);
	stop(&fake, broker);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_in_the_queue),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_reset_before_sync),
		cmocka_unit_test(test_no_room_for_request),
		cmocka_unit_test(test_no_room_for_sync),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_nothing_left),
	};
	struct CMUnitTest tests[COUNT(cases) + COUNT(others)];

	cases_fill(tests, test_case, cases, sizeof(cases[0]), COUNT(cases), others, COUNT(others));
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
