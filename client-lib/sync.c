// SPDX-License-Identifier: MIT
/*
 * sync.c: asks the worker that has taken a connection over what became of a request.
 *
 * The socket keeps order, and outlives the worker. So what was sent before SYNC was read before it, by
 * this worker or by one before; what this worker has read and not answered it lists; and what an earlier
 * one had answered was there to be received before SYNC's reply. What is neither answered nor listed
 * was lost.
 */
#include "sync.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "fdbroker-protocol.h"

/*
 * One request is under way on a connection of this library's, and an inherited socket may have a few of
 * whoever had it before. It is on the stack of any thread, so not as large as a reply may be.
 */
#define IDS_MAX 1024

int sync_send(int fd, uint32_t id)
{
	const struct fdbroker_request request = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_SYNC,
		.id = id,
	};

	while (send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int sync_receive(int fd, uint32_t id, uint32_t request)
{
	__attribute__((uninitialized)) struct {
		struct fdbroker_reply header;
		uint32_t ids[IDS_MAX];
	} reply;
	const size_t head = sizeof(reply.header);
	bool was_reset = false, again;
	ssize_t length;
	size_t i;

	/* Without room for descriptors the kernel closes any that come along. A reset is told first, and
	 * once, as in exchange.c: the message is there all the same. */
	do {
		length = recv(fd, &reply, sizeof(reply), MSG_TRUNC | MSG_DONTWAIT);
		again = length < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset));
		was_reset = was_reset || (length < 0 && errno == ECONNRESET);
	} while (again);
	if (length < 0)
		return -errno;
	if ((size_t)length < head || (size_t)length > sizeof(reply) ||
		reply.header.version != FDBROKER_PROTOCOL_VERSION ||
		reply.header.operation != FDBROKER_SYNC || reply.header.descriptors != 0 ||
		reply.header.reserved != 0 || reply.header.data_length != (size_t)length - head ||
		reply.header.data_length % sizeof(uint32_t) != 0)
		return -EPROTO;
	if (reply.header.id != id)
		return SYNC_NONE;
	if (reply.header.error != 0)
		return -ECONNRESET;
	for (i = 0; i < reply.header.data_length / sizeof(uint32_t); i++) {
		if (reply.ids[i] == request)
			return SYNC_TAKEN;
	}
	return SYNC_LOST;
}
