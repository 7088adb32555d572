/* SPDX-License-Identifier: MIT */
/* connection-end.c: how a connection ends: what its client is told, what is left of it, and who else hears of it. */
#include "connection-parts.h"

#include "channel.h"
#include "clock.h"
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ms between two lines that tell of no room: those who wait are given again and again. */
#define CROWDED_PAUSE 10000

void connection_dismiss(struct connection *connection, int error)
{
	const struct fdbroker_reply reply = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.error = (uint32_t)error,
	};

	message_send(connection->socket, &reply, -1, NULL);
}

void connection_free(struct connection *connection)
{
	peer_release(&connection->peer);
	free(connection);
}

void connection_tell_closed(void *context, uint32_t client)
{
	const struct server *server = context;
	struct channel_message closed = {
		.type = CHANNEL_CLOSED,
		.index = client,
		.descriptor = -1,
	};

	channel_send(server->channel, &closed);
}

void connection_crowded(struct server *server, int error)
{
	struct operations *operations = server->operations;
	struct audit_line *line = &operations->line;
	int64_t now = clock_ms();

	if (server->crowded && now - server->crowded < CROWDED_PAUSE)
		return;
	server->crowded = now;
	audit_begin(line, operations->service->log, "accept");
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", "no room for another connection");
	audit_number(line, "connections", (int64_t)*operations->service->connections);
	audit_errno(line, -error);
	audit_end(line);
}

void connection_lack(struct server *server, int socket, uint32_t client, int error)
{
	struct channel_message back = {
		.type = CHANNEL_BACK,
		.index = client,
		.descriptor = -1,
	};

	connection_crowded(server, error);
	close(socket);
	channel_send(server->channel, &back);
}

void connection_turn_away(struct connection *connection, struct server *server, int error)
{
	if (error == -ENOMEM || error == -ENOBUFS || error == -EMFILE || error == -ENFILE) {
		connection_lack(server, connection->socket, connection->client, error);
		connection_free(connection);
	} else {
		connection_dismiss(connection, -error);
		connection_close(connection, server);
	}
}

void connection_close(struct connection *connection, struct server *server)
{
	struct message message;

	/* With a request unread the client would get ECONNRESET before the replies that tell it
	 * why. After the shutdown nothing more can come. A job may have the socket too: it would go on to be
	 * polled. */
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, connection->socket, NULL);
	shutdown(connection->socket, SHUT_RDWR);
	while (message_receive(
		       connection->socket, server->buffer, sizeof(server->buffer), &message) > 0)
		;
	replies_drop(connection, server);
	jobs_abandon(server, connection);
	/* What the client has yet to receive goes on counting, with the next worker too: until then the supervisor keeps
	 * its copy. */
	if (connection->account) {
		undelivered_add(&server->undelivered, connection->socket, connection->client,
			connection->account, clock_ns());
	} else {
		close(connection->socket);
		connection_tell_closed(server, connection->client);
	}
	connection->account = NULL;
	connection->closed = true;
	if (!connection->jobs)
		connection_free(connection);
}
