/* SPDX-License-Identifier: MIT */
/*
 * request.h: decoding. Bytes from a client become a struct request or a reason to refuse them;
 * nothing is done, allocated or logged here, and nothing beyond the message's own length is read.
 */
#ifndef BROKER_REQUEST_H
#define BROKER_REQUEST_H

#include "fdbroker-protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a client asked. The pointers point into the message. */
struct request {
	uint16_t operation;
	uint32_t id;
	uint64_t flags;
	uint32_t mode;
	const char *path;
	size_t path_length;
	/* A second path, a text or times. Of operations that take none it is empty. */
	const char *extra;
	size_t extra_length;
	uint64_t began; /* when it was received: clock_ns; set by who receives it */
};

/* What it is answered. Filled by the operation, sent by the connection, which then closes
 * `descriptor`. */
struct reply {
	uint32_t error; /* 0 or a positive errno */
	int descriptor; /* -1 where none */
	const char *data;
	size_t data_length;
	/* Nothing of it was done, since it takes more patience than there was: with which directory of the policy, and how
	 * many seconds the policy lets it take (0: as many as the daemon). */
	bool deferred;
	uint32_t directory, timeout;
	bool client; /* and it will be done in the client's name: who does it needs the client's socket */
};

/*
 * Decodes one message of `length` bytes. Returns 0; -EBADMSG where it is malformed or
 * -EPROTONOSUPPORT where its version is another: `request` then holds the operation and the id as
 * far as they arrived (else 0), for the reply, and the connection is to be closed.
 */
int request_decode(const void *message, size_t length, struct request *request);

#endif
