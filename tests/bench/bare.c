// SPDX-License-Identifier: MIT
/*
 * bare.c: what the broker is measured against: a process that receives a path, opens it, sends the
 * descriptor, and does nothing else. No policy, no log, no epoll, no check of any kind: whatever
 * the broker costs above this is the price of what it does. It must never be made any cleverer or
 * slower, or the ratios of different versions could not be compared.
 */
#include "bare.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE 4096

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int bare_openat2(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static int send_descriptor(int socket_fd, int fd)
{
	char byte = 0;
	union control control = {};
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

__attribute__((noreturn)) static void serve(int socket_fd)
{
	char path[PATH_SIZE];
	struct iovec part = {.iov_base = path, .iov_len = sizeof(path) - 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t length;
	int fd;

	for (;;) {
		length = recvmsg(socket_fd, &message, 0);
		if (length <= 0)
			_exit(0);
		path[length] = '\0';
		fd = bare_openat2(path);
		if (fd < 0 || send_descriptor(socket_fd, fd) < 0)
			_exit(1);
		close(fd);
	}
}

int bare_start(struct bare_server *server)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	server->pid = fork();
	if (server->pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		serve(pair[1]);
	}
	close(pair[1]);
	server->fd = pair[0];
	return 0;
}

int bare_open(const struct bare_server *server, const char *path)
{
	char byte;
	union control control;
	struct iovec sent = {.iov_base = (void *)(size_t)path, .iov_len = strlen(path)};
	struct msghdr request = {.msg_iov = &sent, .msg_iovlen = 1};
	struct iovec received = {.iov_base = &byte, .iov_len = 1};
	struct msghdr reply = {
		.msg_iov = &received,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (sendmsg(server->fd, &request, MSG_NOSIGNAL) < 0)
		return -1;
	if (recvmsg(server->fd, &reply, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&reply);
	if (!header || header->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

void bare_stop(struct bare_server *server)
{
	close(server->fd);
	waitpid(server->pid, NULL, 0);
}
