/* SPDX-License-Identifier: MIT */
/*
 * hostile-client SOCKET KIND PATH SECONDS: one client of a broker, for as long. The KIND `good` asks for PATH over and
 * over, one request at a time with a pause between them, and prints how many requests were answered with a
 * descriptor, how many were not, and the median and the 99th percentile of the round trip in nanoseconds. The other
 * kinds do harm as well as they can, and print how often they did; they go on whatever becomes of their connections.
 */
#include "fdbroker-protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ns between two requests of the good client. */
#define GOOD_PAUSE   500000
#define SAMPLES_MAX  200000
#define PIPELINE     32
#define SLOW_PAUSE   10000000
#define IDLE	     1000
#define DROPPED_EACH 38

static const char *socket_path, *path;
static uint64_t end;
static unsigned long count;
static char junk[FDBROKER_REQUEST_MAX];
static uint64_t samples[SAMPLES_MAX];

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void pause_for(long ns)
{
	const struct timespec time = {0, ns};

	nanosleep(&time, NULL);
}

/* -1 where the broker does not want it. */
static int dial(int flags)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	if (connection < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	if (connect(connection, (void *)&address, sizeof(address)) < 0) {
		close(connection);
		return -1;
	}
	return connection;
}

/* Until the broker lets one in. */
static int dial_again(int old, int flags)
{
	int connection = -1;

	if (old >= 0)
		close(old);
	while (connection < 0 && now() < end) {
		connection = dial(flags);
		if (connection < 0)
			pause_for(1000000);
	}
	return connection;
}

static ssize_t put(int connection, const char *name, uint32_t id)
{
	const struct fdbroker_request request = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_OPEN,
		.id = id,
		.flags = O_RDONLY,
		.path_length = (uint16_t)strlen(name),
	};
	char message[sizeof(request) + 256];

	memcpy(message, &request, sizeof(request));
	memcpy(message + sizeof(request), name, strlen(name));
	return send(connection, message, sizeof(request) + strlen(name), MSG_NOSIGNAL);
}

/* The errno of a reply, after closing what came with it; -1 where there is none. */
static int get(int connection, uint32_t *id)
{
	struct fdbroker_reply reply;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {&reply, sizeof(reply)};
	struct msghdr got = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	bool has_file = false;
	int file;

	if (recvmsg(connection, &got, MSG_CMSG_CLOEXEC) < (ssize_t)sizeof(reply))
		return -1;
	if (got.msg_controllen) {
		memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&got)), sizeof(int));
		close(file);
		has_file = true;
	}
	*id = reply.id;
	return reply.error || has_file ? (int)reply.error : ENODATA;
}

/* ---- the well-behaved one ---------------------------------------------------------------------
 */

static int compare(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return a < b ? -1 : a > b;
}

static void good(void)
{
	const struct timeval patience = {10, 0};
	int connection = dial(0);
	unsigned long lost = 0;
	uint32_t id, got;

	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (id = 1; now() < end && count < SAMPLES_MAX; id++) {
		uint64_t start = now();
		if (connection < 0 || put(connection, path, id) < 0 || get(connection, &got) != 0 ||
			got != id) {
			lost++;
			connection = dial_again(connection, 0);
			continue;
		}
		samples[count++] = now() - start;
		pause_for(GOOD_PAUSE);
	}
	qsort(samples, count, sizeof(samples[0]), compare);
	printf("%lu %lu %llu %llu\n", count, lost, (unsigned long long)samples[count / 2],
		(unsigned long long)samples[count * 99 / 100]);
}

/* ---- the hostile ones -------------------------------------------------------------------------
 */

/* As many requests as there is room for, always; the replies are read. */
static void flood(const char *name)
{
	int connection = dial(0);
	uint32_t id = 0, got;

	while (now() < end) {
		bool failed = connection < 0;
		for (int i = 0; i < PIPELINE && !failed; i++)
			failed = put(connection, name, ++id) < 0;
		for (int i = 0; i < PIPELINE && !failed; i++, count++)
			failed = get(connection, &got) < 0;
		if (failed)
			connection = dial_again(connection, 0);
	}
}

static void flood_requests(void)
{
	flood(path);
}

static void flood_denials(void)
{
	flood("/etc/shadow");
}

static void connect_and_close(void)
{
	while (now() < end) {
		int connection = dial(0);
		if (connection >= 0) {
			put(connection, path, 1);
			close(connection);
			count++;
		}
	}
}

/* More connections than it may have: those that are not wanted it closes when it is told. */
static void idle(void)
{
	static struct pollfd all[IDLE];
	uint32_t id;

	for (size_t i = 0; i < IDLE; i++) {
		all[i] = (struct pollfd){.fd = dial(0), .events = POLLIN};
		count += all[i].fd >= 0;
	}
	while (now() < end) {
		if (poll(all, IDLE, 10) <= 0)
			continue;
		for (size_t i = 0; i < IDLE; i++)
			if (all[i].fd >= 0 && all[i].revents && get(all[i].fd, &id) < 0) {
				close(all[i].fd);
				all[i].fd = -1;
			}
	}
}

/* Asks for as much as there is room for, on as many connections as it may have, and reads nothing. */
static void never_read(void)
{
	int all[100];

	for (size_t i = 0; i < 100; i++)
		all[i] = dial(SOCK_NONBLOCK);
	while (now() < end) {
		for (size_t i = 0; i < 100; i++)
			while (all[i] >= 0 && now() < end && put(all[i], path, 1) > 0)
				count++;
		pause_for(1000000);
	}
}

/* Has itself dropped, by a message that is none, with descriptors unread; and keeps its end. */
static void dropped(void)
{
	while (now() < end) {
		int connection = dial(0);
		if (connection < 0) {
			pause_for(1000000);
			continue;
		}
		for (uint32_t i = 1; i <= DROPPED_EACH; i++)
			put(connection, path, i);
		send(connection, junk, 1, MSG_NOSIGNAL);
		/* Never closed: it is at its end when it has no more descriptors itself. */
		count++;
	}
	/* A sanitizer looks for leaks now, and opens files for that. */
	for (int i = 0; i < 16; i++)
		close(STDERR_FILENO + 1 + i);
}

/* Messages of one size, each of which costs it the connection. */
static void send_junk(size_t size)
{
	int connection = -1;
	uint32_t id;

	while (now() < end) {
		connection = dial_again(connection, 0);
		if (connection >= 0 && send(connection, junk, size, MSG_NOSIGNAL) > 0)
			count++;
		while (connection >= 0 && get(connection, &id) >= 0)
			;
	}
}

static void one_byte(void)
{
	send_junk(1);
}

static void largest(void)
{
	send_junk(sizeof(junk));
}

static void malformed(void)
{
	const struct fdbroker_request request = {.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_OPEN,
		.path_length = 99};

	memcpy(junk, &request, sizeof(request));
	send_junk(sizeof(request) + 7);
}

/* Always as many requests as there is room for, and takes a reply now and then. */
static void slowest_reader(void)
{
	int connection = dial(SOCK_NONBLOCK);
	uint32_t id;

	while (now() < end) {
		while (connection >= 0 && put(connection, path, 1) > 0)
			count++;
		pause_for(SLOW_PAUSE);
		if (connection < 0 || (get(connection, &id) < 0 && errno != EAGAIN))
			connection = dial_again(connection, SOCK_NONBLOCK);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{"good", good},
	{"request-flood", flood_requests},
	{"denial-flood", flood_denials},
	{"connect-and-close", connect_and_close},
	{"idle", idle},
	{"never-reading", never_read},
	{"dropped", dropped},
	{"one-byte", one_byte},
	{"largest", largest},
	{"malformed", malformed},
	{"slowest-reader", slowest_reader},
};

int main(int argc, char **argv)
{
	struct rlimit files;

	if (argc != 5)
		return 2;
	socket_path = argv[1];
	path = argv[3];
	end = now() + (uint64_t)(atof(argv[4]) * 1e9);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[2]) == 0) {
			kinds[i].run();
			if (i)
				printf("%lu\n", count);
			return 0;
		}
	return 2;
}
