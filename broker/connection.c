/* SPDX-License-Identifier: MIT */
/* connection.c: begins to serve a client; receives its requests, does them or has them done, and answers. */
#include "connection-parts.h"

#include "channel.h"
#include "clock.h"
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/*
 * Bytes of the kernel's send buffer, which bounds how many replies, and descriptors in them, a
 * client can leave unread: about forty. The kernel doubles the number (socket(7)).
 */
#define SEND_BUFFER 16384

/* How often a client may ask what was lost with a worker, besides what its limits allow. */
#define SYNCS_FREE 4

struct connection *connection_new(int socket, uint32_t client, bool taken_over)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->socket = socket;
	connection->client = client;
	connection->taken_over = taken_over;
	/* Whoever has lost a worker finds out what else he lost, whatever he may ask for a second. */
	connection->syncs = taken_over ? SYNCS_FREE : 0;
	connection->last = &connection->first;
	return connection;
}

int connection_watch(struct connection *connection, struct server *server)
{
	uint32_t events = connection->first			   ? EPOLLOUT
			  : connection->jobs < CONNECTION_JOBS_MAX ? EPOLLIN
								   : 0;
	struct epoll_event event = {.events = events, .data.ptr = connection};

	if (connection->watched == events)
		return 0;
	connection->watched = events;
	return epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->socket, &event) < 0 ? -errno : 0;
}

static int answer(struct connection *connection, struct server *server,
	const struct request *request, const struct reply *reply)
{
	return replies_answer(connection, server, request, reply, NULL);
}

int connection_start(struct connection *connection, struct server *server)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	struct request none = {.operation = FDBROKER_RESTARTED};
	struct reply restarted = {.descriptor = -1};
	int size = SEND_BUFFER;

	if (setsockopt(connection->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
		epoll_ctl(server->epoll, EPOLL_CTL_ADD, connection->socket, &event) < 0)
		return -errno;
	connection->watched = EPOLLIN;
	if (!connection->taken_over)
		return 0;
	return answer(connection, server, &none, &restarted) ? -EPIPE
							     : connection_watch(connection, server);
}

int connection_reloaded(struct connection *connection, struct server *server, uint32_t id,
	int error, const char *text)
{
	struct request request = {.operation = FDBROKER_RELOAD, .id = connection->reload};
	struct reply reply = {
		.error = (uint32_t)error,
		.descriptor = -1,
		.data = text,
		.data_length = strlen(text),
	};

	/* Its number may have been another client's, who asked and has gone. */
	if (!connection->reload || connection->reload != id)
		return 0;
	connection->reload = 0;
	return answer(connection, server, &request, &reply) || connection_watch(connection, server)
		       ? -1
		       : 0;
}

/* ---- serving ---------------------------------------------------------------------------------- */

/* Tells which of the connection's requests are under way: all others that it has sent have been answered, or lost with
 * a worker before this one. */
static int answer_sync(
	struct connection *connection, struct server *server, const struct request *request)
{
	uint32_t ids[CONNECTION_JOBS_MAX + 1];
	struct reply reply = {.descriptor = -1, .data = (const char *)ids};
	size_t count = 0;

	for (const struct job *job = server->first; job; job = job->next_own)
		if (job->connection == connection && count < CONNECTION_JOBS_MAX)
			ids[count++] = job->request.id;
	if (connection->reload)
		ids[count++] = connection->reload;
	reply.data_length = count * sizeof(*ids);
	return answer(connection, server, request, &reply);
}

/* Asks the supervisor, who answers later. 0, or -1 where the connection is at its end. */
static int ask_reload(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct channel_message message = {
		.type = CHANNEL_RELOAD,
		.index = connection->client,
		.id = request->id,
		.descriptor = -1,
	};
	struct reply reply = {.descriptor = -1};
	int error = operations_administer(server->operations, &connection->peer, request);

	if (!error && connection->reload)
		error = -EBUSY;
	if (!error)
		error = channel_send(server->channel, &message);
	if (error) {
		reply.error = (uint32_t)-error;
		return answer(connection, server, request, &reply);
	}
	connection->reload = request->id;
	return 0;
}

/* Takes what the request is going to use. 0, or -EDQUOT, which has been recorded. */
static int take_all(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct account_refusal refusal;
	int error = account_request(connection->account, request->began, &refusal);

	if (error) {
		operations_refused(server->operations, &connection->peer, &refusal);
		return error;
	}
	return replies_give_descriptor(request)
		       ? replies_take(connection, server, ACCOUNT_DESCRIPTORS)
		       : 0;
}

/* Does the request, or has it done in the lane, and answers it. 0, or -1 where the connection is at its end. */
static int run(struct connection *connection, struct server *server, const struct request *request,
	bool stranger, size_t length)
{
	struct reply reply = {.descriptor = -1};
	int error = take_all(connection, server, request);

	if (!error) {
		operations_run(server->operations, &connection->peer, stranger, request, &reply);
		if (reply.deferred) {
			error = jobs_begin(connection, server, request, stranger, &reply, length);
			if (!error)
				return 0;
			if (error != -EDQUOT)
				operations_short(
					server->operations, &connection->peer, request, error);
		}
		if (replies_give_descriptor(request) && reply.descriptor < 0)
			account_give_back(connection->account, ACCOUNT_DESCRIPTORS, 1);
	}
	if (error)
		reply = (struct reply){.error = (uint32_t)-error, .descriptor = -1};
	return answer(connection, server, request, &reply);
}

/* What is asked of the connection or the daemon itself. */
static int run_own(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct reply reply = {.error = EDQUOT, .descriptor = -1};

	if (take_all(connection, server, request))
		return answer(connection, server, request, &reply);
	return request->operation == FDBROKER_SYNC ? answer_sync(connection, server, request)
						   : ask_reload(connection, server, request);
}

static int serve(struct connection *connection, struct server *server)
{
	const struct peer *peer = &connection->peer;
	struct operations *operations = server->operations;
	struct message message;
	struct request request;
	struct reply reply = {.descriptor = -1};
	int error = message_receive(
		connection->socket, server->buffer, sizeof(server->buffer), &message);

	if (error <= 0)
		return error == -EAGAIN || error == -EINTR ? 0 : -1;
	uint64_t began = clock_ns();
	const char *reason = message_refuse(server->buffer, &message, &request, &error);
	request.began = began;
	if (reason) {
		operations_malformed(operations, peer, &request, reason, -error);
		reply.error = (uint32_t)-error;
		answer(connection, server, &request, &reply);
		return -1;
	}
	bool stranger = !message.known || (!peer_sent(peer, &message.sender) &&
						  !policy_caller_delegates(peer->caller));
	if (request.operation == FDBROKER_SYNC && connection->syncs) {
		connection->syncs--;
		return answer_sync(connection, server, &request);
	}
	if (request.operation == FDBROKER_SYNC ||
		(request.operation == FDBROKER_RELOAD && !stranger))
		return run_own(connection, server, &request);
	return run(connection, server, &request, stranger, (size_t)message.length);
}

int connection_ready(struct connection *connection, uint32_t events, struct server *server)
{
	if (connection->first) {
		if ((events & (EPOLLERR | EPOLLHUP)) || replies_flush(connection, server))
			return -1;
	} else if (connection->jobs >= CONNECTION_JOBS_MAX) {
		if (events & (EPOLLERR | EPOLLHUP))
			return -1;
	} else if (serve(connection, server)) {
		return -1;
	}
	return connection_watch(connection, server) ? -1 : 0;
}
