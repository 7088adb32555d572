/* SPDX-License-Identifier: MIT */
/*
 * undelivered.h: sockets of clients that were dropped before they had received everything. The kernel counts the
 * descriptors in them against the worker until they are received or the client closes its end; so the client's
 * account goes on being charged with them, and with the connection, and the socket is kept to see when it is over.
 *
 * How many there can be is bounded by what is charged: by the limit of the uid's connections, and what is in
 * them by that of its descriptors. Beyond, the uid gets no further connection. Where the policy says `none`, the
 * worker's descriptors bound them: it stops accepting until some come back.
 *
 * Not for several threads at once: one list for each.
 */
#ifndef BROKER_UNDELIVERED_H
#define BROKER_UNDELIVERED_H

#include "accounts.h"

struct undelivered {
	struct undelivered_socket *first, *last; /* by when they are looked at next */
	/* Told of each that is closed, with the number that it was added with; NULL: nobody. */
	void (*closed)(void *context, uint32_t client);
	void *context;
};

/* ns between two looks at the same socket. */
#define UNDELIVERED_PAUSE UINT64_C(250000000)

/*
 * Shuts `socket` down and takes it and the connection's reference to `account`. Where nothing is left in its queue,
 * or memory is short, both are closed at once, else later. `now` is as in accounts.h.
 */
void undelivered_add(struct undelivered *undelivered, int socket, uint32_t client,
	struct account *account, uint64_t now);

/*
 * Closes those that are due and have been received, or whose client is gone. Returns in how many milliseconds to
 * call again, -1: not until one is added.
 */
int undelivered_check(struct undelivered *undelivered, uint64_t now);

/* Closes them all. */
void undelivered_release(struct undelivered *undelivered, uint64_t now);

#endif
