// SPDX-License-Identifier: MIT
/*
 * relay.c: what netcat does.
 *
 * One direction that is stuck holds the other up only for as long as it is: both are plain, blocking copies of one
 * buffer at a time.
 */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "command.h"
#include "report.h"

/* Bytes: as long as the longest datagram. */
#define BUFFER_SIZE 262144

/* All of it; a message at once. 0 or an errno. */
static int write_all(int fd, const char *data, size_t length)
{
	do {
		ssize_t done = write(fd, data, length);
		if (done < 0 && errno != EINTR)
			return errno;
		if (done > 0) {
			data += done;
			length -= (size_t)done;
		}
	} while (length > 0);
	return 0;
}

/* 1: some was copied. 0: the end of `from`. A negative errno, with *which set to the side that failed. */
static int copy_some(
	int from, int to, const char **which, const char *from_name, const char *to_name)
{
	static char buffer[BUFFER_SIZE];
	ssize_t length = read(from, buffer, sizeof(buffer));

	*which = from_name;
	if (length < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	if (length == 0)
		return 0;
	*which = to_name;
	int error = write_all(to, buffer, (size_t)length);
	return error ? -error : 1;
}

int relay(const char *action, const char *name, int fd, bool messages)
{
	struct pollfd sources[] = {
		{.fd = fd, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};
	const char *which;
	int got;

	for (;;) {
		if (poll(sources, 2, -1) < 0)
			continue;
		if (sources[0].revents) {
			got = copy_some(fd, STDOUT_FILENO, &which, name, "standard output");
			if (got < 0)
				return report_failure(action, which, -got);
			/* A datagram may be empty: it is no end. */
			if (got == 0 && !messages)
				return EXIT_DONE;
			if (got == 0 && sources[0].revents & POLLHUP)
				return EXIT_DONE;
		}
		if (sources[1].revents) {
			got = copy_some(STDIN_FILENO, fd, &which, "standard input", name);
			if (got < 0)
				return report_failure(action, which, -got);
			if (got > 0)
				continue;
			sources[1].fd = -1;
			/* Nobody hears of the end of datagrams. */
			if (shutdown(fd, SHUT_WR) < 0)
				return EXIT_DONE;
			int type = 0;
			socklen_t size = sizeof(type);
			getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
			if (type == SOCK_DGRAM)
				return EXIT_DONE;
		}
	}
}
