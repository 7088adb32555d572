// SPDX-License-Identifier: MIT
/*
 * exchange.c: one request and its reply on the wire (fdbroker-protocol.h).
 *
 * One sendmsg(2) and one recvmsg(2), and nothing else, where all goes well: every other system call
 * is a noticeable part of the whole. Nothing is allocated.
 *
 * The other side is not believed. A reply is used only if it is whole, of this version, and the
 * answer to this very request with what this request asks for; and whatever descriptors come that
 * are not handed to the caller are closed, or a hostile server could fill the table. What cannot be
 * matched leaves the connection broken: a late reply must never be taken for the answer to a later
 * request.
 *
 * The number of descriptors is in the header because the kernel drops those that the receiver has
 * no room for and delivers the rest of the message (MSG_CTRUNC, recvmsg(2)): that is the caller's
 * EMFILE and no fault of the broker's.
 *
 * A broker that closes while a request is still unread makes the kernel report ECONNRESET first and
 * deliver what had been sent second, and sendmsg fails with EPIPE although a reply may lie waiting.
 * So after either one more read is made: it may hold the reason.
 */
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdbroker-protocol.h"

#define ERRNO_MAX 4095 /* the kernel's own bound (MAX_ERRNO) */

#ifndef SCM_PIDFD
#define SCM_PIDFD 4 /* Linux 6.5; not in the headers of Debian 12 */
#endif

/*
 * Room for the descriptors, and for what the kernel adds on an inherited socket that somebody has
 * set SO_PASSCRED or SO_PASSPIDFD on: else there would be none left for the descriptors.
 */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) +
		   CMSG_SPACE(EXCHANGE_DESCRIPTORS_MAX * sizeof(int))];
};

/* A message as it came. */
struct arrival {
	struct fdbroker_reply header;
	size_t length;
	int flags;
	unsigned int
		count; /* of descriptors that came; those beyond the array are closed already */
	int descriptors[EXCHANGE_DESCRIPTORS_MAX];
};

/* Waits, for sockets that are non-blocking or have a time limit. A failure shows in the next call.
 */
static void wait_for(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	poll(&poll_fd, 1, -1);
}

static int send_request(int fd, uint32_t id, const struct exchange *exchange)
{
	struct fdbroker_request request = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = exchange->operation,
		.id = id,
		.flags = exchange->flags,
		.mode = exchange->mode,
		.path_length = (uint16_t)exchange->path_length,
		.extra_length = (uint16_t)exchange->extra_length,
	};
	struct iovec parts[] = {
		{.iov_base = &request, .iov_len = sizeof(request)},
		{.iov_base = (void *)(uintptr_t)exchange->path, .iov_len = exchange->path_length},
		{.iov_base = (void *)(uintptr_t)exchange->extra, .iov_len = exchange->extra_length},
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = exchange->extra_length > 0 ? 3 : 2,
	};

	while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			wait_for(fd, POLLOUT);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* recvmsg(2) until it has an answer. `flags` may hold MSG_DONTWAIT: then EAGAIN is one. */
static ssize_t receive_message(int fd, struct msghdr *message, int flags)
{
	const size_t room = message->msg_controllen;
	bool was_reset = false;
	ssize_t length;

	for (;;) {
		message->msg_controllen = room;
		length = recvmsg(fd, message, MSG_CMSG_CLOEXEC | flags);
		if (length >= 0)
			return length;
		if (errno == EAGAIN && !(flags & MSG_DONTWAIT)) {
			wait_for(fd, POLLIN);
		} else if (errno == ECONNRESET && !was_reset) {
			was_reset = true;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

/* Notes the descriptors of one control message, and closes those that there is no place for. */
static void take_descriptors(struct cmsghdr *control, struct arrival *arrival)
{
	size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	size_t i;
	int fd;

	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(fd));
		if (control->cmsg_type == SCM_PIDFD) {
			if (fd >= 0)
				close(fd);
		} else if (arrival->count++ < EXCHANGE_DESCRIPTORS_MAX) {
			arrival->descriptors[arrival->count - 1] = fd;
		} else {
			close(fd);
		}
	}
}

static int receive_reply(
	int fd, const struct exchange *exchange, int flags, struct arrival *arrival)
{
	union control control;
	struct iovec parts[] = {
		{.iov_base = &arrival->header, .iov_len = sizeof(arrival->header)},
		{.iov_base = exchange->data, .iov_len = exchange->data_size},
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = exchange->data_size > 0 ? 2 : 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length = receive_message(fd, &message, flags);
	struct cmsghdr *part;

	if (length < 0)
		return (int)length;
	arrival->length = (size_t)length;
	arrival->flags = message.msg_flags;
	arrival->count = 0;
	for (part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
		if (part->cmsg_level == SOL_SOCKET &&
			(part->cmsg_type == SCM_RIGHTS || part->cmsg_type == SCM_PIDFD))
			take_descriptors(part, arrival);
	}
	return 0;
}

/* Whether it is a reply at all, whatever it may answer. */
static bool is_reply(const struct arrival *arrival)
{
	const struct fdbroker_reply *header = &arrival->header;

	if (arrival->length < sizeof(*header) || (arrival->flags & MSG_TRUNC))
		return false;
	if (header->version != FDBROKER_PROTOCOL_VERSION || header->reserved != 0)
		return false;
	if (header->data_length != arrival->length - sizeof(*header) || header->error > ERRNO_MAX)
		return false;
	return header->error == 0 ||
	       (header->descriptors == 0 && arrival->count == 0 && header->data_length == 0);
}

/* What the message means for the request `id`. As exchange_run. */
static int judge(
	const struct arrival *arrival, uint32_t id, const struct exchange *exchange, bool *broken)
{
	const struct fdbroker_reply *header = &arrival->header;

	*broken = true;
	/* The end, or a message without a byte, which looks the same. */
	if (arrival->length == 0 && arrival->count == 0)
		return -ECONNRESET;
	if (!is_reply(arrival))
		return -EPROTO;
	/* An error that answers no request is about the connection, which ends with it. */
	if (header->id == 0 && header->error != 0)
		return -(int)header->error;
	if (header->id != id || header->operation != exchange->operation)
		return -EPROTO;
	if (header->error != 0) {
		*broken = false;
		return -(int)header->error;
	}
	if (header->descriptors != exchange->descriptor_count)
		return -EPROTO;
	if (arrival->count < header->descriptors && (arrival->flags & MSG_CTRUNC)) {
		*broken = false;
		return -EMFILE;
	}
	if (arrival->count != header->descriptors)
		return -EPROTO;
	*broken = false;
	return 0;
}

static void close_descriptors(const struct arrival *arrival)
{
	unsigned int i;

	for (i = 0; i < arrival->count && i < EXCHANGE_DESCRIPTORS_MAX; i++)
		close(arrival->descriptors[i]);
}

int exchange_run(int fd, uint32_t id, struct exchange *exchange, bool *broken)
{
	struct arrival arrival;
	int error = send_request(fd, id, exchange);
	bool sent = error == 0;

	*broken = false;
	if (!sent && error != -EPIPE && error != -ECONNRESET)
		return error;

	*broken = true;
	/* What could not be sent gets no reply: only look whether a reason lies there. */
	error = receive_reply(fd, exchange, sent ? 0 : MSG_DONTWAIT, &arrival);
	if (error == 0) {
		error = judge(&arrival, id, exchange, broken);
		if (error == 0 && !sent)
			error = -EPROTO;
		if (error < 0)
			close_descriptors(&arrival);
	} else if (!sent) {
		error = -ECONNRESET;
	}
	if (!sent)
		*broken = true;
	if (error < 0)
		return error;

	memcpy(exchange->descriptors, arrival.descriptors, sizeof(exchange->descriptors));
	exchange->data_length = arrival.header.data_length;
	return 0;
}
