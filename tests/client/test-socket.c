// SPDX-License-Identifier: MIT
/*
 * test-socket.c: what the broker is asked for where a program says it with a socket address, and what is refused before
 * it is asked. The fake one fails the test at any other request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

#define HEAD offsetof(struct sockaddr_un, sun_path)

union address {
	struct sockaddr any;
	struct sockaddr_un local;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	char bytes[sizeof(struct sockaddr_un) + 1];
};

static union address unix_address(const char *name, size_t length)
{
	union address address = {.local.sun_family = AF_UNIX};

	memcpy(address.local.sun_path, name, length);
	return address;
}

static union address six_address(const char *text, uint16_t port, uint32_t scope)
{
	union address address = {.six = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET6, text, &address.six.sin6_addr), 1);
	address.six.sin6_scope_id = scope;
	return address;
}

static void check_made(int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void test_addresses(void **state)
{
	static const char longest[] = "/2345678901234567890123456789012345678901234567890123456789"
				      "0123456789012345678901234567890123456789012345678";
	char expected[200];
	const struct fake_turn turns[] = {
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "unix:/run/x", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_SEQPACKET | SOCK_NONBLOCK, .path = "unix:/run/x",
			.descriptors = 1},
		{FDBROKER_BIND, SOCK_DGRAM, .path = "unix-dgram:/run/x", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "unix:@name", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = expected, .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "tcp:127.0.0.1:80", .descriptors = 1},
		{FDBROKER_BIND, SOCK_DGRAM | SOCK_CLOEXEC, .path = "udp:127.0.0.1:80",
			.descriptors = 1},
		{FDBROKER_BIND, SOCK_STREAM, .path = "tcp:[::]:0", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "tcp:[fe80::1%7]:65535", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "tcp:[::ffff:1.2.3.4]:1", .descriptors = 1},
		{FDBROKER_CONNECT, SOCK_STREAM, .path = "unix:/run/x", .error = ECONNREFUSED},
	};
	union address path = unix_address("/run//./x", 10), name = unix_address("\0name", 5),
		      full = unix_address(longest, 108);
	union address four = {.four = {.sin_family = AF_INET, .sin_port = htons(80)}};
	union address any = six_address("::", 0, 0), scoped = six_address("fe80::1", 65535, 7),
		      mapped = six_address("::ffff:1.2.3.4", 1, 7);
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	snprintf(expected, sizeof(expected), "unix:%.108s", longest);
	four.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	broker = calls_start(&fake, turns, COUNT(turns));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &path.any, HEAD + 10));
	/* As most programs have it, with room behind the NUL. */
	check_made(fdbroker_socket_connect(
		broker, SOCK_SEQPACKET | SOCK_NONBLOCK, &path.any, sizeof(path.local)));
	check_made(fdbroker_socket_bind(broker, SOCK_DGRAM, &path.any, HEAD + 9));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &name.any, HEAD + 5));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &full.any, HEAD + 108));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &four.any, sizeof(four.four)));
	check_made(fdbroker_socket_bind(
		broker, SOCK_DGRAM | SOCK_CLOEXEC, &four.any, sizeof(four.four)));
	check_made(fdbroker_socket_bind(broker, SOCK_STREAM, &any.any, sizeof(any.six)));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &scoped.any, sizeof(scoped.six)));
	check_made(fdbroker_socket_connect(broker, SOCK_STREAM, &mapped.any, sizeof(mapped.six)));
	check_failure(
		fdbroker_socket_connect(broker, SOCK_STREAM, &path.any, HEAD + 10), ECONNREFUSED);
	calls_stop(&fake, broker);
}

static void test_addresses_that_cannot_be_said(void **state)
{
	union address path = unix_address("/run/x", 7), name = unix_address("\0na\0me", 6),
		      up = unix_address("/a/../b", 8), slash = unix_address("/a/", 4);
	union address four = {.four.sin_family = AF_INET}, other = {.any.sa_family = AF_NETLINK};
	union address six = {.six.sin6_family = AF_INET6};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	/* Nothing of this gets to the broker. */
	broker = calls_start(&fake, NULL, 0);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, NULL, 16), EFAULT);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &path.any, 0), EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &path.any, 1), EINVAL);
	check_failure(fdbroker_socket_bind(broker, SOCK_STREAM, &path.any, HEAD), EINVAL);
	check_failure(fdbroker_socket_bind(broker, SOCK_STREAM, &path.any, HEAD + 109), EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &name.any, HEAD + 1), EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &name.any, HEAD + 6), EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &up.any, HEAD + 8), EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &slash.any, HEAD + 4), EINVAL);
	check_failure(
		fdbroker_socket_connect(broker, SOCK_STREAM, &four.any, sizeof(four.four) - 1),
		EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &six.any, sizeof(six.six) - 1),
		EINVAL);
	check_failure(fdbroker_socket_connect(broker, SOCK_STREAM, &other.any, 12), EAFNOSUPPORT);
	check_failure(
		fdbroker_socket_connect(NULL, SOCK_STREAM, &four.any, sizeof(four.four)), ENOTCONN);
	calls_stop(&fake, broker);
}

static void test_watch(void **state)
{
	static const int32_t number = 77;
	const struct fake_turn turns[] = {
		{FDBROKER_WATCH, IN_CREATE | IN_ONLYDIR, .path = "/x", .descriptors = 1,
			.data = &number, .length = 4},
		{FDBROKER_WATCH, 0xffffffff, .path = "/x", .descriptors = 1, .data = &number,
			.length = 4},
		{FDBROKER_WATCH, IN_CREATE, .path = "/x", .error = EMFILE},
		{FDBROKER_WATCH, IN_CREATE, .path = "/x", .descriptors = 1, .data = &number,
			.length = 3},
	};
	struct fdbroker *broker;
	struct fake fake;
	int watch = -5;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	int before = count_descriptors();
	check_made(fdbroker_watch(broker, "//x", IN_CREATE | IN_ONLYDIR, &watch));
	assert_int_equal(watch, 77);
	check_made(fdbroker_watch(broker, "/x", 0xffffffff, NULL));
	watch = -5;
	check_failure(fdbroker_watch(broker, "/x/", IN_CREATE, &watch), EINVAL);
	check_failure(fdbroker_watch(broker, NULL, IN_CREATE, &watch), EFAULT);
	check_failure(fdbroker_watch(broker, "/x", IN_CREATE, &watch), EMFILE);
	check_failure(fdbroker_watch(broker, "/x", IN_CREATE, &watch), EPROTO);
	assert_int_equal(watch, -5);
	assert_int_equal(count_descriptors(), before);
	calls_stop(&fake, broker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses_that_cannot_be_said),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
