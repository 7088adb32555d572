/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Bytes of the kernel's send buffer, which bounds how many replies, and descriptors in them, a
 * client can leave unread: about forty. The kernel doubles the number (socket(7)).
 */
#define SEND_BUFFER 16384

/* One message, and where its sender is named. A byte more than allowed, to see that it is too long.
 */
struct message {
	ssize_t length;
	int flags;
	bool known; /* whether the kernel named the sender */
	struct ucred sender;
	bool descriptors; /* whether there were any; they are closed */
};

static char buffer[FDBROKER_REQUEST_MAX + 1];

static int watch(const struct connection *connection, int epoll, int how, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = (void *)(uintptr_t)connection};

	return epoll_ctl(epoll, how, connection->socket, &event) < 0 ? -errno : 0;
}

int connection_new(int socket, const char *via, const struct policy *policy, int questions,
	int epoll, struct connection **result)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int error, size = SEND_BUFFER;

	if (!connection) {
		close(socket);
		return -ENOMEM;
	}
	connection->socket = socket;
	connection->descriptor = -1;
	error = peer_identify(socket, via, policy, questions, &connection->peer);
	if (!error && setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		error = -errno;
	if (!error)
		error = watch(connection, epoll, EPOLL_CTL_ADD, EPOLLIN);
	if (error) {
		connection_free(connection);
		return error;
	}
	*result = connection;
	return 0;
}

/* Reads the control messages: who sent this, and away with descriptors. */
static void read_control(struct msghdr *header, struct message *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS &&
			c->cmsg_len == CMSG_LEN(sizeof(message->sender))) {
			memcpy(&message->sender, CMSG_DATA(c), sizeof(message->sender));
			message->known = true;
		}
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		message->descriptors = true;
		for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int descriptor;
			memcpy(&descriptor, CMSG_DATA(c) + at, sizeof(int));
			close(descriptor);
		}
	}
}

/* 1: a message; 0: the client is gone; a negative errno. */
static int receive(int socket, struct message *message)
{
	/* Room for the sender and one descriptor: the kernel drops what does not fit and says so.
	 */
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*message = (struct message){0};
	message->length = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (message->length < 0)
		return -errno;
	message->flags = header.msg_flags;
	read_control(&header, message);
	/* A message of zero length is no end: it has a sender. */
	return message->length > 0 || message->known;
}

void connection_free(struct connection *connection)
{
	struct message message;

	/* With a request unread the client would get ECONNRESET before the replies that tell it
	 * why. After the shutdown nothing more can come. */
	shutdown(connection->socket, SHUT_RDWR);
	while (receive(connection->socket, &message) > 0)
		;
	close(connection->socket);
	if (connection->descriptor >= 0)
		close(connection->descriptor);
	free(connection->data);
	peer_release(&connection->peer);
	free(connection);
}

/* Why this is no request that could be looked at, or NULL. */
static const char *refuse(const struct message *message, struct request *request, int *error)
{
	*error = -EBADMSG;
	if (message->flags & MSG_TRUNC || message->length > FDBROKER_REQUEST_MAX) {
		*request = (struct request){0};
		return "a message beyond the largest size";
	}
	*error = request_decode(buffer, (size_t)message->length, request);
	if (*error == -EPROTONOSUPPORT)
		return "a message of another protocol version";
	if (*error)
		return "a malformed message";
	if (message->descriptors || message->flags & MSG_CTRUNC) {
		*error = -EBADMSG;
		return "a message with descriptors attached";
	}
	return NULL;
}

/* 0: gone, or the client is. -EAGAIN: the client has no room. Another negative errno: cannot be
 * sent. */
static int send_reply(
	int socket, const struct fdbroker_reply *reply, int descriptor, const char *data)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = {
		{.iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = reply->data_length},
	};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = reply->data_length ? 2 : 1};

	if (descriptor >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
	}
	return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Sends what waits. 0: sent. 1: the client has no room yet. -1: the client is gone. */
static int flush(struct connection *connection)
{
	int error = send_reply(
		connection->socket, &connection->reply, connection->descriptor, connection->data);

	if (error == -EAGAIN)
		return 1;
	if (error && error != -EPIPE && error != -ECONNRESET && connection->descriptor >= 0) {
		/* The descriptor cannot travel (ETOOMANYREFS: too many are under way). Say so. */
		close(connection->descriptor);
		connection->descriptor = -1;
		connection->reply.descriptors = 0;
		connection->reply.error = (uint32_t)-error;
		return flush(connection);
	}
	if (connection->descriptor >= 0)
		close(connection->descriptor);
	connection->descriptor = -1;
	connection->waiting = false;
	return error ? -1 : 0;
}

/* Sends the reply, or leaves it waiting. 0, or -1 where the connection is at its end. */
static int answer(struct connection *connection, int epoll, const struct request *request,
	const struct reply *reply)
{
	int result;

	connection->reply = (struct fdbroker_reply){
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = request->operation,
		.id = request->id,
		.error = reply->error,
		.descriptors = reply->descriptor >= 0 ? 1 : 0,
		.data_length = (uint32_t)reply->data_length,
	};
	connection->descriptor = reply->descriptor;
	connection->data = (char *)(uintptr_t)reply->data;
	connection->waiting = true;
	result = flush(connection);
	connection->data = NULL;
	if (result <= 0)
		return result;
	/* The operation's data lives until the next request only, which may be somebody else's. */
	if (reply->data_length) {
		connection->data = malloc(reply->data_length);
		if (!connection->data)
			return -1;
		memcpy(connection->data, reply->data, reply->data_length);
	}
	return watch(connection, epoll, EPOLL_CTL_MOD, EPOLLOUT) ? -1 : 0;
}

void connection_dismiss(struct connection *connection, int error)
{
	const struct fdbroker_reply reply = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.error = (uint32_t)error,
	};

	send_reply(connection->socket, &reply, -1, NULL);
}

static int serve(struct connection *connection, int epoll, struct operations *operations)
{
	const struct peer *peer = &connection->peer;
	struct message message;
	struct request request;
	struct reply reply = {.descriptor = -1};
	int error = receive(connection->socket, &message);

	if (error <= 0)
		return error == -EAGAIN || error == -EINTR ? 0 : -1;
	int64_t began = clock_ns();
	const char *reason = refuse(&message, &request, &error);
	request.began = began;
	if (reason) {
		operations_malformed(operations, peer, &request, reason, -error);
		reply.error = (uint32_t)-error;
		answer(connection, epoll, &request, &reply);
		return -1;
	}
	bool stranger = !message.known || (!peer_sent(peer, &message.sender) &&
						  !policy_caller_delegates(peer->caller));
	operations_run(operations, peer, stranger, &request, &reply);
	return answer(connection, epoll, &request, &reply);
}

int connection_ready(
	struct connection *connection, uint32_t events, int epoll, struct operations *operations)
{
	if (!connection->waiting)
		return serve(connection, epoll, operations);
	if (events & (EPOLLERR | EPOLLHUP))
		return -1;
	int result = flush(connection);
	if (result)
		return result < 0 ? -1 : 0;
	free(connection->data);
	connection->data = NULL;
	return watch(connection, epoll, EPOLL_CTL_MOD, EPOLLIN) ? -1 : 0;
}
