// SPDX-License-Identifier: MIT
/*
 * script.c: a fake broker whose workers come and go as a script says.
 *
 * A step that meets anything but what it expects ends the fake with FAKE_BAD_REQUEST, which fails the test.
 */
#include "script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdbroker-protocol.h"

#define REQUESTS_MAX 256

struct request {
	struct fdbroker_request header;
	char path[256]; /* and the extra bytes, then NUL bytes */
};

struct player {
	int fd;
	struct request requests[REQUESTS_MAX];
	unsigned int count;
	uint32_t sync, sync_before; /* ids */
};

static void require(bool condition)
{
	if (!condition)
		_exit(FAKE_BAD_REQUEST);
}

static void read_request(struct player *player, struct request *request)
{
	ssize_t length = recv(player->fd, request, sizeof(*request) - 1, 0);

	require(length >= (ssize_t)sizeof(request->header));
	require(length == (ssize_t)sizeof(request->header) + request->header.path_length +
				  request->header.extra_length);
	require(request->header.id != 0);
}

static void read_next(struct player *player, bool same)
{
	struct request *request = &player->requests[player->count++];
	struct request last = {};

	require(player->count < REQUESTS_MAX);
	read_request(player, request);
	require(request->header.operation != FDBROKER_SYNC);
	if (!same)
		return;
	last = request[-1];
	require(last.header.id != request->header.id);
	last.header.id = request->header.id;
	require(memcmp(&last, request, sizeof(last)) == 0);
}

static void read_sync(struct player *player)
{
	struct request request = {};

	read_request(player, &request);
	require(request.header.operation == FDBROKER_SYNC && request.header.path_length == 0 &&
		request.header.flags == 0 && request.header.mode == 0);
	require(request.header.id != player->sync);
	player->sync_before = player->sync;
	player->sync = request.header.id;
}

/* Sends a reply that has at most one id as its data. */
static void reply(const struct player *player, struct fdbroker_reply header, uint32_t data,
	size_t length, int descriptors)
{
	struct {
		struct fdbroker_reply header;
		uint32_t data;
	} message = {.header = header, .data = data};
	int fd = descriptors > 0 ? fake_text_file("unasked") : -1;

	message.header.version = FDBROKER_PROTOCOL_VERSION;
	fake_send(player->fd, &message, sizeof(header) + length, fd, descriptors);
	if (fd >= 0)
		close(fd);
}

static void answer(const struct player *player, unsigned int which, uint32_t error)
{
	const struct request *request = &player->requests[which];
	struct fdbroker_reply header = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = request->header.operation,
		.id = request->header.id,
		.error = error,
		.descriptors = error == 0,
	};
	int fd = fake_text_file(request->path);

	require(which < player->count && request->header.extra_length == 0);
	fake_send(player->fd, &header, sizeof(header), fd, error == 0);
	close(fd);
}

static void answer_page(const struct player *player, unsigned int which)
{
	struct {
		struct fdbroker_reply header;
		struct fdbroker_list list;
		struct fdbroker_entry entry;
		char name[1];
	} page = {
		.header =
			{
				.version = FDBROKER_PROTOCOL_VERSION,
				.operation = FDBROKER_LIST,
				.id = player->requests[which].header.id,
				.data_length =
					offsetof(__typeof__(page), name) + 1 - sizeof(page.header),
			},
		.list = {.next = 7},
		.entry = {.inode = 1, .name_length = 1},
		.name = "n",
	};

	fake_send(player->fd, &page, offsetof(__typeof__(page), name) + 1, -1, 0);
}

static void restarted(
	const struct player *player, uint32_t id, uint32_t data_length, int descriptors)
{
	struct fdbroker_reply header = {
		.operation = FDBROKER_RESTARTED,
		.id = id,
		.data_length = data_length,
	};

	reply(player, header, 0, data_length, descriptors);
}

static void answer_sync(const struct player *player, uint32_t id, uint32_t error,
	uint32_t announced, uint32_t known, size_t length, int descriptors)
{
	struct fdbroker_reply header = {
		.operation = FDBROKER_SYNC,
		.id = id,
		.error = error,
		.data_length = announced,
	};

	reply(player, header, known, length, descriptors);
}

static void step(struct player *player, char letter, long number)
{
	const uint32_t sync = player->sync;

	switch (letter) {
	case 'q':
	case 'r':
		read_next(player, letter == 'r');
		break;
	case 'a':
		answer(player, (unsigned int)number, 0);
		break;
	case 'e':
		answer(player, (unsigned int)number, EACCES);
		break;
	case 'p':
		answer_page(player, (unsigned int)number);
		break;
	case 's':
		read_sync(player);
		break;
	case 'y':
		answer_sync(player, sync, 0, number < 0 ? 0 : 4,
			number < 0 ? 0 : player->requests[number].header.id, number < 0 ? 0 : 4, 0);
		break;
	case 'o':
		answer_sync(player, player->sync_before, 0, 0, 0, 0, 0);
		break;
	case 'x':
		answer_sync(player, sync, EACCES, 0, 0, 0, 0);
		break;
	case 'z':
		answer_sync(player, 12345, 0, 0, 0, 0, 0);
		break;
	case 'f':
		answer_sync(player, sync, 0, 0, 0, 0, 1);
		break;
	case 'h':
		answer_sync(player, sync, 0, 2, 0, 2, 0);
		break;
	case 'l':
		answer_sync(player, sync, 0, 8, 0, 4, 0);
		break;
	case 'R':
		restarted(player, 0, 0, 0);
		break;
	case 'F':
		restarted(player, 0, 0, 1);
		break;
	case 'D':
		restarted(player, 0, 4, 0);
		break;
	case 'I':
		restarted(player, 1, 0, 0);
		break;
	case 'E':
		reply(player, (struct fdbroker_reply){.error = EDQUOT}, 0, 0, 0);
		break;
	case 't':
		fake_settle(player->fd);
		break;
	default:
		_exit(5);
	}
}

void script_start(struct fake *fake, const char *script)
{
	static struct player player;
	struct request more;
	char *end;

	player.fd = fake_fork(fake);
	if (player.fd < 0)
		return;
	while (*script != '\0') {
		char letter = *script++;
		long number = strtol(script, &end, 10);

		if (letter == ' ')
			continue;
		if (letter == 'c')
			_exit(0);
		step(&player, letter, end == script ? -1 : number);
		script = end;
	}
	require(recv(player.fd, &more, sizeof(more), 0) <= 0);
	_exit(0);
}
