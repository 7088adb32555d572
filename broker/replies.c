/* SPDX-License-Identifier: MIT */
/* replies.c: what a connection is answered, now or when it has room for it. */
#include "connection-parts.h"

#include "clock.h"
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A reply that has not been sent. */
struct waiting {
	struct waiting *next;
	struct fdbroker_reply reply;
	int descriptor;	 /* -1 where none */
	struct job *job; /* whose descriptor it is, of a reply from the lane; else NULL */
	char data[];
};

bool replies_give_descriptor(const struct request *request)
{
	switch (request->operation) {
	case FDBROKER_OPEN:
	case FDBROKER_TREE:
	case FDBROKER_WATCH:
	case FDBROKER_CONNECT:
	case FDBROKER_BIND:
		return true;
	}
	return false;
}

int replies_take(struct connection *connection, struct server *server, enum account_kind kind)
{
	struct account_refusal refusal;
	int error = account_take(connection->account, kind, 1, clock_ns(), &refusal);

	if (error)
		operations_refused(server->operations, &connection->peer, &refusal);
	return error;
}

/* Its time begins anew; at first, too. */
static void list_slow(struct connection *connection, struct server *server)
{
	connection->patience = clock_ms() + CONNECTION_PATIENCE;
	connection->next_slow = NULL;
	connection->previous_slow = server->last_slow;
	*server->last_slow = connection;
	server->last_slow = &connection->next_slow;
}

static void unlist_slow(struct connection *connection, struct server *server)
{
	if (!connection->previous_slow)
		return;
	*connection->previous_slow = connection->next_slow;
	if (connection->next_slow)
		connection->next_slow->previous_slow = connection->previous_slow;
	else
		server->last_slow = connection->previous_slow;
	connection->previous_slow = NULL;
}

/* The descriptor of a reply has been sent, or never will be. Of a job's, closing may take as long as opening did. */
static void close_sent(struct server *server, int descriptor, struct job *job)
{
	if (job)
		lane_close(server->lane, job);
	else if (descriptor >= 0)
		close(descriptor);
}

/* What a waiting reply takes of the account. */
static uint32_t weight(const struct waiting *waiting)
{
	return (uint32_t)sizeof(*waiting) + waiting->reply.data_length;
}

/* The first one has been sent, or never will be. */
static void forget_first(struct connection *connection, struct server *server)
{
	struct waiting *waiting = connection->first;

	account_give_back(connection->account, ACCOUNT_BYTES, weight(waiting));
	close_sent(server, waiting->descriptor, waiting->job);
	connection->first = waiting->next;
	if (!connection->first)
		connection->last = &connection->first;
	free(waiting);
}

/* A reply with a descriptor, which had been counted, has been sent; or the descriptor was not. */
static void count_descriptor(struct connection *connection, bool sent)
{
	if (sent)
		account_sent(connection->account, 1);
	else
		account_give_back(connection->account, ACCOUNT_DESCRIPTORS, 1);
}

int replies_flush(struct connection *connection, struct server *server)
{
	while (connection->first) {
		struct waiting *waiting = connection->first;
		int error = message_send_or_say(
			connection->socket, &waiting->reply, waiting->descriptor, waiting->data);
		if (error == -EAGAIN)
			return 0;
		if (error)
			return -1;
		if (waiting->descriptor >= 0)
			count_descriptor(connection, waiting->reply.descriptors);
		forget_first(connection, server);
		unlist_slow(connection, server);
		if (connection->first)
			list_slow(connection, server);
	}
	return 0;
}

/*
 * Keeps a reply until there is room. It owns the descriptor and the job. 0, or -1 without memory for it, or too much
 * kept.
 */
static int keep(struct connection *connection, struct server *server,
	const struct fdbroker_reply *reply, int descriptor, const char *data, struct job *job)
{
	struct waiting *waiting = malloc(sizeof(*waiting) + reply->data_length);
	struct account_refusal refusal;

	if (waiting) {
		waiting->reply = *reply;
		if (account_take(connection->account, ACCOUNT_BYTES, weight(waiting), clock_ns(),
			    &refusal)) {
			operations_refused(server->operations, &connection->peer, &refusal);
			free(waiting);
			waiting = NULL;
		}
	}
	if (!waiting) {
		if (descriptor >= 0)
			count_descriptor(connection, false);
		close_sent(server, descriptor, job);
		return -1;
	}
	if (!connection->first)
		list_slow(connection, server);
	waiting->job = job;
	waiting->next = NULL;
	waiting->descriptor = descriptor;
	if (reply->data_length)
		memcpy(waiting->data, data, reply->data_length);
	*connection->last = waiting;
	connection->last = &waiting->next;
	return 0;
}

int replies_answer(struct connection *connection, struct server *server,
	const struct request *request, const struct reply *reply, struct job *job)
{
	struct fdbroker_reply header = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = request->operation,
		.id = request->id,
		.error = reply->error,
		.descriptors = reply->descriptor >= 0 ? 1 : 0,
		.data_length = (uint32_t)reply->data_length,
	};
	int error = -EAGAIN;

	if (!connection->first)
		error = message_send_or_say(
			connection->socket, &header, reply->descriptor, reply->data);
	if (error == -EAGAIN && header.descriptors == (reply->descriptor >= 0))
		return keep(connection, server, &header, reply->descriptor, reply->data, job);
	if (reply->descriptor >= 0)
		count_descriptor(connection, !error && header.descriptors);
	/* Of one that cannot travel only the error waits. */
	if (error == -EAGAIN)
		error = keep(connection, server, &header, -1, NULL, NULL);
	close_sent(server, reply->descriptor, job);
	return error ? -1 : 0;
}

void replies_drop(struct connection *connection, struct server *server)
{
	while (connection->first) {
		if (connection->first->descriptor >= 0)
			count_descriptor(connection, false);
		forget_first(connection, server);
	}
	unlist_slow(connection, server);
}
