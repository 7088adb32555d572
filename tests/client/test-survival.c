// SPDX-License-Identifier: MIT
/*
 * test-survival.c: many threads open files while workers die at any moment, and no open fails.
 *
 * The fake is one process for each connection, and its workers die in it: what one of them has read it
 * forgets, at any point between two messages. Usage: client-survival [SECONDS [SEED]]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

#define THREADS	    8
#define CONNECTIONS 2
#define TAKEN_MAX   16

static unsigned int seconds = 2, seed;

/* ---- the workers ------------------------------------------------------------------------------
 */

struct request {
	struct fdbroker_request header;
	char path[64];
};

struct workers {
	int fd;
	unsigned int random;
	struct request taken[TAKEN_MAX]; /* and not answered; SYNC among them */
	unsigned int count;
};

/* What has happened to any of them, for the test to see that it did. */
static struct tally {
	atomic_uint deaths, lost, lost_syncs, answered, answered_other, unread;
} * tally;

static bool chance(struct workers *workers, int percent)
{
	return rand_r(&workers->random) % 100 < percent;
}

static void answer(struct workers *workers, unsigned int which)
{
	const struct request *request = &workers->taken[which];
	const bool opens = request->header.operation == FDBROKER_OPEN;
	struct {
		struct fdbroker_reply header;
		uint32_t ids[TAKEN_MAX];
	} reply = {
		.header =
			{
				.version = FDBROKER_PROTOCOL_VERSION,
				.operation = request->header.operation,
				.id = request->header.id,
				.descriptors = opens,
			},
	};
	uint32_t *length = &reply.header.data_length;
	int file = opens ? fake_text_file(request->path) : -1;
	unsigned int i;

	for (i = 0; i < workers->count && !opens; i++) {
		if (workers->taken[i].header.operation == FDBROKER_OPEN) {
			reply.ids[*length / 4] = workers->taken[i].header.id;
			*length += 4;
		}
	}
	fake_send(workers->fd, &reply, sizeof(reply.header) + *length, file, opens);
	if (opens)
		close(file);
	(*(opens ? &tally->answered : &tally->answered_other))++;
	workers->taken[which] = workers->taken[--workers->count];
}

static void die(struct workers *workers)
{
	const struct fdbroker_reply restarted = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_RESTARTED,
	};
	char byte;
	unsigned int i;

	for (i = 0; i < workers->count; i++)
		(*(workers->taken[i].header.operation == FDBROKER_OPEN ? &tally->lost
								       : &tally->lost_syncs))++;
	if (recv(workers->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		tally->unread++;
	workers->count = 0;
	tally->deaths++;
	fake_send(workers->fd, &restarted, sizeof(restarted), -1, 0);
}

static void take(struct workers *workers)
{
	struct request *request = &workers->taken[workers->count];
	ssize_t length = recv(workers->fd, request, sizeof(*request) - 1, 0);

	/* The client is through, perhaps with something of ours unread. */
	if (length <= 0)
		_exit(0);
	if (length != (ssize_t)sizeof(request->header) + request->header.path_length ||
		(request->header.operation != FDBROKER_OPEN &&
			request->header.operation != FDBROKER_SYNC) ||
		++workers->count == TAKEN_MAX)
		_exit(FAKE_BAD_REQUEST);
	request->path[request->header.path_length] = '\0';
}

static void serve(struct workers *workers)
{
	struct pollfd readable = {.fd = workers->fd, .events = POLLIN};

	for (;;) {
		/* Only one that has nothing to do waits. */
		if (poll(&readable, 1, workers->count > 0 ? 0 : -1) > 0 && chance(workers, 70))
			take(workers);
		if (chance(workers, 10))
			die(workers);
		if (workers->count > 0 && chance(workers, 60))
			answer(workers, (unsigned int)rand_r(&workers->random) % workers->count);
		if (chance(workers, 10))
			die(workers);
	}
}

/* ---- the clients ------------------------------------------------------------------------------
 */

struct client {
	pthread_t thread;
	struct fdbroker *broker;
	int number;
	unsigned int opened, failed;
};

static void *open_many(void *argument)
{
	struct client *client = argument;
	struct timespec now, end;
	char path[32];
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do {
		snprintf(path, sizeof(path), "/%d/%u", client->number, client->opened++);
		fd = fdbroker_open(client->broker, path, O_RDONLY);
		if (fd < 0 || !has_content(fd, path))
			client->failed++;
		if (fd >= 0)
			close(fd);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (
		now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	return NULL;
}

static void test_survival(void **state)
{
	int before = count_descriptors();
	struct fdbroker *brokers[CONNECTIONS];
	struct fake fakes[CONNECTIONS];
	struct client clients[THREADS];
	struct workers workers = {};
	unsigned int opened = 0;
	int i;

	(void)state;
	for (i = 0; i < CONNECTIONS; i++) {
		workers.fd = fake_fork(&fakes[i]);
		workers.random = seed + (unsigned int)i;
		if (workers.fd >= 0)
			serve(&workers);
		brokers[i] = fdbroker_from_fd(fakes[i].fd);
		assert_non_null(brokers[i]);
	}
	for (i = 0; i < THREADS; i++) {
		clients[i] = (struct client){.broker = brokers[i % CONNECTIONS], .number = i};
		assert_int_equal(
			pthread_create(&clients[i].thread, NULL, open_many, &clients[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(clients[i].thread, NULL);
		if (clients[i].failed > 0)
			fail_msg("seed %u: %u of %u failed", seed, clients[i].failed,
				clients[i].opened);
		opened += clients[i].opened;
	}
	for (i = 0; i < CONNECTIONS; i++) {
		fdbroker_disconnect(brokers[i]);
		fake_wait(&fakes[i]);
	}
	print_message("# seed %u: %u opens, %u deaths, lost %u, lost SYNCs %u, unread %u\n", seed,
		opened, tally->deaths, tally->lost, tally->lost_syncs, tally->unread);
	assert_int_equal(count_descriptors(), before);
	/* All of it has happened, or nothing was shown. */
	assert_true(tally->answered >= opened);
	assert_true(tally->deaths > 0 && tally->lost > 0 && tally->lost_syncs > 0 &&
		    tally->unread > 0 && tally->answered_other > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survival),
	};

	seed = (unsigned int)time(NULL);
	if (argc > 1)
		seconds = (unsigned int)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = (unsigned int)strtoul(argv[2], NULL, 10);
	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 1;
	alarm(seconds + 60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
