/* SPDX-License-Identifier: MIT */
/* sync.h: asks the worker that has taken a connection over what became of a request. */
#ifndef CLIENT_SYNC_H
#define CLIENT_SYNC_H

#include <stdint.h>

/* What a reply to SYNC says of a request. */
enum sync_verdict {
	SYNC_NONE,  /* nothing: it is the reply to another SYNC */
	SYNC_TAKEN, /* it will be answered, unless it was already */
	SYNC_LOST, /* it was taken by a worker that is no more: it may have been carried out or not */
};

/*
 * Sends SYNC under the number `id`, without waiting. 0 or a negative errno, as send(2); -EAGAIN where
 * there is no room.
 */
int sync_send(int fd, uint32_t id);

/*
 * Receives the reply to a SYNC, which must be the next message, and sees what the one to the SYNC `id`
 * says of `request`. An enum sync_verdict; -EPROTO where it is no such reply; -ECONNRESET where it is an
 * error, so that nobody can tell; what recv(2) gives.
 */
int sync_receive(int fd, uint32_t id, uint32_t request);

#endif
