/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

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
int message_receive(int socket, char *buffer, size_t size, struct message *message)
{
	/* Room for the sender and one descriptor: the kernel drops what does not fit and says so.
	 */
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = buffer, .iov_len = size};
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

/* Why this is no request that could be looked at, or NULL. */
const char *message_refuse(
	const char *buffer, const struct message *message, struct request *request, int *error)
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
int message_send(int socket, const struct fdbroker_reply *reply, int descriptor, const char *data)
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

/*
 * Sends a reply, whose descriptor stays the caller's. 0: sent. -EAGAIN: the client has no room yet. Another negative
 * errno: the client is gone.
 */
int message_send_or_say(int socket, struct fdbroker_reply *reply, int descriptor, const char *data)
{
	int error = message_send(socket, reply, descriptor, data);

	if (!error || error == -EAGAIN || error == -EPIPE || error == -ECONNRESET || descriptor < 0)
		return error;
	/* The descriptor cannot travel (ETOOMANYREFS: too many are under way). Say so. */
	reply->descriptors = 0;
	reply->error = (uint32_t)-error;
	return message_send(socket, reply, -1, data);
}
