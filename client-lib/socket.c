// SPDX-License-Identifier: MIT
/*
 * socket.c: sockets and watches, each in the shape of the call that it stands for.
 *
 * The wire has addresses as a policy writes them; here a socket address becomes such a text. What cannot be said in
 * one is refused here, all else is the broker's to judge.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask.h"
#include "connection.h"
#include "fdbroker-protocol.h"

/* The longest scheme and a path. */
#define TEXT_BUFFER (sizeof("unix-dgram:") + ASK_PATH_BUFFER)

static int type_of(int type)
{
	return type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* "unix:/PATH" or "unix:@NAME". A negative errno, or the length. */
static int write_unix(const struct sockaddr *address, socklen_t length, int type, char *text)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	struct sockaddr_un name = {0};
	size_t used, count;
	int error;

	if (length <= head || length > sizeof(name))
		return -EINVAL;
	memcpy(&name, address, length);
	count = length - head;
	used = (size_t)sprintf(text, type_of(type) == SOCK_DGRAM ? "unix-dgram:" : "unix:");
	if (name.sun_path[0] == '\0') {
		/* The text ends at a NUL, and an abstract name with one is another name. */
		if (count == 1 || memchr(name.sun_path + 1, '\0', count - 1))
			return -EINVAL;
		text[used++] = '@';
		memcpy(text + used, name.sun_path + 1, count - 1);
		return (int)(used + count - 1);
	}
	/* The kernel takes one without a NUL too, of as many bytes as there are (unix(7)). */
	char path[sizeof(name.sun_path) + 1] = "";
	memcpy(path, name.sun_path, count);
	error = ask_spell(path, false, text + used, &count);
	return error < 0 ? error : (int)(used + count);
}

static int write_internet(const struct sockaddr *address, socklen_t length, int type, char *text)
{
	const char *scheme = type_of(type) == SOCK_DGRAM ? "udp" : "tcp";
	char number[INET6_ADDRSTRLEN], scope[16] = "";

	if (address->sa_family == AF_INET) {
		struct sockaddr_in four;

		if (length < sizeof(four))
			return -EINVAL;
		memcpy(&four, address, sizeof(four));
		inet_ntop(AF_INET, &four.sin_addr, number, sizeof(number));
		return sprintf(text, "%s:%s:%u", scheme, number, ntohs(four.sin_port));
	}
	struct sockaddr_in6 six;

	if (length < sizeof(six))
		return -EINVAL;
	memcpy(&six, address, sizeof(six));
	inet_ntop(AF_INET6, &six.sin6_addr, number, sizeof(number));
	if (six.sin6_scope_id && !IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		snprintf(scope, sizeof(scope), "%%%u", (unsigned int)six.sin6_scope_id);
	return sprintf(text, "%s:[%s%s]:%u", scheme, number, scope, ntohs(six.sin6_port));
}

static int ask_for_socket(struct fdbroker *broker, uint16_t operation, int type,
	const struct sockaddr *address, socklen_t address_length)
{
	char text[TEXT_BUFFER];
	struct exchange exchange = {
		.operation = operation,
		.flags = (unsigned int)type,
		.path = text,
		.descriptor_count = 1,
	};
	int length = -EAFNOSUPPORT;

	if (!address)
		return ask_failed(-EFAULT);
	if (address_length < sizeof(sa_family_t))
		return ask_failed(-EINVAL);
	if (address->sa_family == AF_UNIX)
		length = write_unix(address, address_length, type, text);
	else if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
		length = write_internet(address, address_length, type, text);
	if (length < 0)
		return ask_failed(length);
	exchange.path_length = (size_t)length;
	int error = connection_exchange(broker, &exchange);
	return error < 0 ? ask_failed(error) : exchange.descriptors[0];
}

CLIENT_API int fdbroker_socket_connect(
	struct fdbroker *broker, int type, const struct sockaddr *address, socklen_t length)
{
	return ask_for_socket(broker, FDBROKER_CONNECT, type, address, length);
}

CLIENT_API int fdbroker_socket_bind(
	struct fdbroker *broker, int type, const struct sockaddr *address, socklen_t length)
{
	return ask_for_socket(broker, FDBROKER_BIND, type, address, length);
}

CLIENT_API int fdbroker_watch(struct fdbroker *broker, const char *path, uint32_t mask, int *watch)
{
	int32_t number;
	struct exchange exchange = {
		.operation = FDBROKER_WATCH,
		.flags = mask,
		.descriptor_count = 1,
		.data = &number,
		.data_size = sizeof(number),
	};
	int error = ask_about(broker, path, false, &exchange);

	if (error < 0)
		return ask_failed(error);
	if (exchange.data_length != sizeof(number)) {
		close(exchange.descriptors[0]);
		return ask_failed(-EPROTO);
	}
	if (watch)
		*watch = number;
	return exchange.descriptors[0];
}
