/* SPDX-License-Identifier: MIT */
/*
 * message.h: one message of a client's, and one to it: bytes and descriptors, and nothing of what they mean.
 */
#ifndef BROKER_MESSAGE_H
#define BROKER_MESSAGE_H

#include "request.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* One message, and where its sender is named. */
struct message {
	ssize_t length;
	int flags;
	bool known; /* whether the kernel named the sender */
	struct ucred sender;
	bool descriptors; /* whether there were any; they are closed */
};

/*
 * Receives one, without waiting, into `buffer`, which has room for a byte more than the largest, to see that one is too
 * long. 1: a message; 0: the client is gone; a negative errno.
 */
int message_receive(int socket, char *buffer, size_t size, struct message *message);

/* Decodes it (request.h). NULL, or why it is no request that could be looked at, with the negative errno in *error. */
const char *message_refuse(
	const char *buffer, const struct message *message, struct request *request, int *error);

/*
 * Sends a reply, whose descriptor (-1: none) stays the caller's. 0: gone. -EAGAIN: the client has no room. Another
 * negative errno: it cannot be sent, as EPIPE where the client is gone.
 */
int message_send(int socket, const struct fdbroker_reply *reply, int descriptor, const char *data);

/* The same; but where the descriptor cannot travel (ETOOMANYREFS) the reply becomes one that says so. */
int message_send_or_say(int socket, struct fdbroker_reply *reply, int descriptor, const char *data);

#endif
