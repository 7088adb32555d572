/* SPDX-License-Identifier: MIT */
/* connection.h: what the calls need of a connection. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "exchange.h"
#include "fdbroker.h"

/* Marks what the library exports; libfdbroker.map must name it too. */
#define CLIENT_API __attribute__((visibility("default")))

/*
 * Runs one exchange on `broker`, after whatever exchanges other threads have under way, and in a
 * child of fork(2) on a connection of its own. No cancellation point. Returns 0 or a negative
 * errno: as exchange_run; -ENOTCONN where `broker` is NULL or belongs to the parent; where the
 * connection had to be made anew, what fdbroker_connect gives; and, once a connection is broken,
 * -EPROTO or -ECONNRESET for ever.
 */
int connection_exchange(struct fdbroker *broker, struct exchange *exchange);

#endif
