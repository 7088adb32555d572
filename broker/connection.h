/* SPDX-License-Identifier: MIT */
/*
 * connection.h: one client's socket. Receives a message, has it decoded and done, sends the reply;
 * whatever the client does, what it costs is bounded and its own.
 *
 * A client that does not take its replies is not read from: one reply waits here, nothing more is
 * done until it is gone, and what is queued in the kernel is bounded by the socket's send buffer.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "operations.h"

struct connection {
	int socket;
	struct peer peer;
	struct account *account;	    /* NULL until it is counted; closed by the worker */
	struct connection *previous, *next; /* the worker's list */
	int64_t expires;		    /* ms of CLOCK_MONOTONIC; 0: never */
	bool waiting;			    /* the reply below has not been sent */
	struct fdbroker_reply reply;
	int descriptor; /* of that reply; -1 where none */
	char *data;	/* of that reply, allocated; NULL where none */
};

/*
 * Makes a connection of `socket`, which was accepted on the address `via`, and adds it to `epoll`.
 * The connection owns the socket from then on, also where this fails. `questions` is as for
 * peer_identify. 0 or a negative errno.
 */
int connection_new(int socket, const char *via, const struct policy *policy, int questions,
	int epoll, struct connection **connection);

/* Tells the client why it is to go: a reply to no request, with `error`, if there is room for it. */
void connection_dismiss(struct connection *connection, int error);

/* Closes the socket and frees everything. The reasons already sent still reach the client. */
void connection_free(struct connection *connection);

/*
 * Does what `events` (epoll_wait(2)) call for: at most one request. Returns 0, or -1 when the
 * connection is at its end and connection_free is to be called.
 */
int connection_ready(
	struct connection *connection, uint32_t events, int epoll, struct operations *operations);

#endif
