/* SPDX-License-Identifier: MIT */
/* exchange.h: one request and its reply. */
#ifndef CLIENT_EXCHANGE_H
#define CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most descriptors that any one exchange asks for. */
#define EXCHANGE_DESCRIPTORS_MAX 1

struct exchange {
	/* What is asked; the fields of struct fdbroker_request. It fits FDBROKER_REQUEST_MAX. */
	uint16_t operation;
	uint64_t flags;
	uint32_t mode;
	const char *path;
	size_t path_length;
	const void *extra;
	size_t extra_length;

	/* What a success brings: exactly so many descriptors, and at most data_size bytes of data.
	 */
	unsigned int descriptor_count;
	void *data;
	size_t data_size;

	/* Filled in by a success; the descriptors are close-on-exec and become the caller's. */
	int descriptors[EXCHANGE_DESCRIPTORS_MAX];
	/* Bytes of data. Also after an error that the broker reported: of RELOAD there may be some, else 0. */
	size_t data_length;
};

/* What one exchange on a connection leaves for the next one. All of it is 0 at the beginning. */
struct exchange_state {
	uint32_t id;	    /* of the last request */
	uint32_t sync;	    /* of the SYNC whose reply is awaited; 0: none is */
	uint32_t forgotten; /* how many SYNCs may still be answered that nobody waits for */
};

/*
 * Sends what `exchange` asks over the socket `fd`, which has the state *state, and waits for the reply.
 * Where the request was lost with a worker, it is sent again if that is safe (repeat.h). The caller
 * sees to it that nobody else uses the socket meanwhile. Neither raises SIGPIPE nor returns for a
 * signal; it is a cancellation point (the caller disables that).
 *
 * Returns 0, or a negative errno: the broker's own; -EMFILE where this process had no room for a
 * descriptor; -EPROTO where the reply is not one; -ECONNRESET where there was none, or the request was
 * lost and may have been carried out; what sendmsg(2) gives. On failure no descriptor stays open.
 * *broken says that requests and replies may be out of step, or that the other side is gone: the socket
 * must not be used again.
 */
int exchange_run(int fd, struct exchange_state *state, struct exchange *exchange, bool *broken);

#endif
