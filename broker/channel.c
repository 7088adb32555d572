/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of one message. */
#define DESCRIPTORS_MAX 2

/* What goes over the socket before the text: the message without its descriptor. */
#define HEADER offsetof(struct channel_message, text)

int channel_pair_waiting(int channel[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ? -errno : 0;
}

int channel_pair(int channel[2])
{
	int error = channel_pair_waiting(channel);

	if (error)
		return error;
	if (fcntl(channel[0], F_SETFL, O_NONBLOCK) < 0) {
		error = -errno;
		close(channel[0]);
		close(channel[1]);
		return error;
	}
	return 0;
}

int channel_send(int channel, const struct channel_message *message)
{
	union {
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	int descriptors[DESCRIPTORS_MAX];
	size_t count = 0;
	struct iovec part = {
		.iov_base = (void *)(uintptr_t)message,
		.iov_len = HEADER + strnlen(message->text, CHANNEL_TEXT_MAX),
	};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	if (message->descriptor >= 0)
		descriptors[count++] = message->descriptor;
	if (message->object > 0)
		descriptors[count++] = message->object;
	if (count) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
	}
	while (sendmsg(channel, &header, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Takes the first descriptors of `header` and closes any further one. Returns how many there were. */
static unsigned int take_descriptors(struct msghdr *header, int taken[DESCRIPTORS_MAX])
{
	unsigned int count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int descriptor;
			memcpy(&descriptor, CMSG_DATA(c) + at, sizeof(int));
			if (count < DESCRIPTORS_MAX)
				taken[count] = descriptor;
			else
				close(descriptor);
			count++;
		}
	}
	return count;
}

int channel_receive(int channel, struct channel_message *message)
{
	/* Room for one more than there may be, so that it is seen and refused rather than truncated away. */
	union {
		char bytes[CMSG_SPACE((DESCRIPTORS_MAX + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = message, .iov_len = HEADER + CHANNEL_TEXT_MAX};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int taken[DESCRIPTORS_MAX];
	ssize_t length;

	do
		length = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (length == 0)
		return 0;
	unsigned int count = take_descriptors(&header, taken);
	int error = 0;
	if ((size_t)length < HEADER || (header.msg_flags & MSG_TRUNC) || count > DESCRIPTORS_MAX)
		error = -EBADMSG;
	else if (header.msg_flags & MSG_CTRUNC)
		error = -EMFILE; /* there was no room for the descriptor */
	if (error) {
		for (unsigned int i = 0; i < count && i < DESCRIPTORS_MAX; i++)
			close(taken[i]);
		message->descriptor = -1;
		message->object = 0;
		return error;
	}
	message->descriptor = count ? taken[0] : -1;
	message->object = count > 1 ? taken[1] : 0;
	message->text[(size_t)length - HEADER] = '\0';
	return 1;
}
