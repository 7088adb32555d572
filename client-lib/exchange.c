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
 *
 * The worker that answers may die, and another take its place on the same connection: RESTARTED then
 * comes before anything of the new one's. Whether the request was lost with the old one SYNC tells
 * (sync.c); if so, it is sent again, where that is safe (repeat.c). SYNC is sent only when nothing is
 * left to receive, for what lies there may be the reply. It may be answered after the request: then its
 * reply is left to the next exchange. As nothing is sent by a thread that does not also receive, a broker
 * that waits for its replies to be taken is never waited for.
 */
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdbroker-protocol.h"
#include "repeat.h"
#include "sync.h"

/*
 * How many workers may fail one request in a row before it is given up. A request that kills whoever
 * takes it must not do so for ever.
 */
#define RESTARTS_MAX 100

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

/* An exchange under way. */
struct run {
	int fd;
	struct exchange_state *state;
	struct exchange *exchange;
	uint32_t id;	       /* of the request, as it was or will be sent */
	unsigned int restarts; /* how often SYNC was sent */
	bool sent;
	bool unsure; /* another worker has taken over since it was sent, and SYNC is yet to be sent */
	bool asked;  /* the SYNC whose reply is awaited, if any, was sent behind the request */
	bool closed; /* nothing can be sent any more, only received what lies there */
	bool broken;
};

/* What the steps of an exchange return when it is not at its end. */
#define GO_ON 1

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

	while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EINTR)
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
	       (header->descriptors == 0 && arrival->count == 0 &&
		       (header->data_length == 0 || header->operation == FDBROKER_RELOAD));
}

/* ---- another worker ---------------------------------------------------------------------------
 */

static uint32_t next_id(struct exchange_state *state)
{
	if (++state->id == 0)
		state->id = 1;
	return state->id;
}

/* Another worker answers from now on. Nor is anything known of a SYNC that is under way. */
static int handle_restarted(struct run *run)
{
	if (run->state->sync != 0) {
		run->state->sync = 0;
		run->state->forgotten++;
	}
	/* What is not sent yet, this one will read, or the next one tell of. */
	run->unsure = run->sent;
	return GO_ON;
}

/* A reply to a SYNC that nobody waits for. */
static int handle_forgotten(struct run *run)
{
	if (run->state->forgotten == 0) {
		run->broken = true;
		return -EPROTO;
	}
	run->state->forgotten--;
	return GO_ON;
}

static int send_sync(struct run *run)
{
	uint32_t id;
	int error;

	if (run->restarts == RESTARTS_MAX) {
		run->broken = true;
		return -ECONNRESET;
	}
	id = next_id(run->state);
	error = sync_send(run->fd, id);
	if (error == -EAGAIN) {
		wait_for(run->fd, POLLIN | POLLOUT);
		return GO_ON;
	}
	/* What lies there may be the reply, or the reason. */
	if (error < 0) {
		run->closed = true;
		return GO_ON;
	}
	run->state->sync = id;
	run->restarts++;
	run->unsure = false;
	run->asked = true;
	return GO_ON;
}

/* The next message is a reply to SYNC. */
static int handle_sync(struct run *run)
{
	int verdict = sync_receive(run->fd, run->state->sync, run->id);

	if (verdict == SYNC_NONE)
		return handle_forgotten(run);
	/* Sent for an earlier request, it says nothing of this one, be it an error. */
	if (verdict < 0 && (verdict != -ECONNRESET || run->asked)) {
		run->broken = true;
		return verdict;
	}
	run->state->sync = 0;
	if (!run->asked)
		return GO_ON;
	run->asked = false;
	if (verdict != SYNC_LOST)
		return GO_ON;
	if (run->restarts == RESTARTS_MAX ||
		!repeat_is_safe(run->exchange->operation, run->exchange->flags))
		return -ECONNRESET;
	run->id = next_id(run->state);
	run->sent = false;
	return GO_ON;
}

/* Whether the next message is a reply to SYNC, or a negative errno, as receive_message. */
static int is_sync(const struct run *run, int flags)
{
	struct fdbroker_reply header;
	struct iovec part = {.iov_base = &header, .iov_len = sizeof(header)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t length;

	if (run->state->sync == 0)
		return 0;
	length = receive_message(run->fd, &message, flags | MSG_PEEK);
	if (length < 0)
		return (int)length;
	return (size_t)length == sizeof(header) && header.operation == FDBROKER_SYNC;
}

/* ---- the exchange -----------------------------------------------------------------------------
 */

/* What the message means for the request: 0 if it is its success, GO_ON, or as exchange_run. */
static int judge(struct run *run, const struct arrival *arrival)
{
	const struct fdbroker_reply *header = &arrival->header;
	const struct exchange *exchange = run->exchange;

	run->broken = true;
	/* The end, or a message without a byte, which looks the same. */
	if (arrival->length == 0 && arrival->count == 0)
		return -ECONNRESET;
	/* It may be longer than what there is room for. */
	if (arrival->length >= sizeof(*header) && header->operation == FDBROKER_SYNC) {
		run->broken = false;
		return handle_forgotten(run);
	}
	if (!is_reply(arrival))
		return -EPROTO;
	/* An error that answers no request is about the connection, which ends with it. */
	if (header->id == 0 && header->error != 0)
		return -(int)header->error;
	if (header->id == 0 && header->operation == FDBROKER_RESTARTED && arrival->count == 0 &&
		header->descriptors == 0 && header->data_length == 0) {
		run->broken = false;
		return handle_restarted(run);
	}
	if (!run->sent || header->id != run->id || header->operation != exchange->operation)
		return -EPROTO;
	if (header->error != 0) {
		run->broken = false;
		return -(int)header->error;
	}
	if (header->descriptors != exchange->descriptor_count)
		return -EPROTO;
	if (arrival->count < header->descriptors && (arrival->flags & MSG_CTRUNC)) {
		run->broken = false;
		return -EMFILE;
	}
	if (arrival->count != header->descriptors)
		return -EPROTO;
	run->broken = false;
	return 0;
}

static void close_descriptors(const struct arrival *arrival)
{
	unsigned int i;

	for (i = 0; i < arrival->count && i < EXCHANGE_DESCRIPTORS_MAX; i++)
		close(arrival->descriptors[i]);
}

/* Nothing lies there to be received, and something else was to be done. */
static int do_what_is_due(struct run *run)
{
	if (run->closed) {
		run->broken = true;
		return -ECONNRESET;
	}
	if (run->unsure)
		return send_sync(run);
	/* The request has found no room. */
	wait_for(run->fd, POLLIN | POLLOUT);
	return GO_ON;
}

static int receive_one(struct run *run)
{
	struct exchange *exchange = run->exchange;
	bool waits = run->sent && !run->unsure;
	int flags = waits ? 0 : MSG_DONTWAIT;
	struct arrival arrival;
	int result = is_sync(run, flags);

	if (result > 0)
		return handle_sync(run);
	if (result == 0)
		result = receive_reply(run->fd, exchange, flags, &arrival);
	if (result == -EAGAIN && !waits)
		return do_what_is_due(run);
	if (result < 0) {
		run->broken = true;
		return run->closed ? -ECONNRESET : result;
	}

	result = judge(run, &arrival);
	if (result != 0)
		close_descriptors(&arrival);
	else
		memcpy(exchange->descriptors, arrival.descriptors, sizeof(exchange->descriptors));
	/* Only of RELOAD there is any with an error. */
	if (result <= 0 && !run->broken)
		exchange->data_length = arrival.header.data_length;
	return result;
}

int exchange_run(int fd, struct exchange_state *state, struct exchange *exchange, bool *broken)
{
	struct run run = {
		.fd = fd,
		.state = state,
		.exchange = exchange,
		.id = next_id(state),
	};
	int result;

	do {
		result = 0;
		if (!run.sent && !run.closed) {
			result = send_request(fd, run.id, exchange);
			run.sent = result == 0;
			run.closed = result == -EPIPE || result == -ECONNRESET;
			/* What could not be sent gets no reply: only look whether a reason lies there. */
			if (result == -EAGAIN || run.closed)
				result = 0;
		}
		if (result == 0)
			result = receive_one(&run);
	} while (result == GO_ON);
	*broken = run.broken || run.closed;
	return result;
}
