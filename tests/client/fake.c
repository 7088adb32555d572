// SPDX-License-Identifier: MIT
/*
 * fake.c: a broker for unit tests.
 *
 * It is a process, not a thread, so that the descriptors it has open are not counted as the
 * library's, and so that limits and signals of the test do not reach it. It speaks the protocol by
 * its header alone and must never share code with the library, or both could be wrong alike.
 */
#include "fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fdbroker-protocol.h"

#define SENT_MAX	253 /* the kernel's SCM_MAX_FD */
#define CONNECTIONS_MAX 64

struct query {
	struct fdbroker_request header;
	char path[FDBROKER_REQUEST_MAX + 1]; /* the extra bytes come in it too */
	char extra[FDBROKER_REQUEST_MAX];
};

int fake_text_file(const char *text)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(4);
	return fd;
}

void fake_send(int socket_fd, const void *data, size_t length, int fd, int count)
{
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SENT_MAX * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int i;

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		for (i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.align) + (size_t)i * sizeof(int), &fd,
				sizeof(fd));
	}
	sendmsg(socket_fd, &message, MSG_NOSIGNAL);
}

void fake_settle(int socket_fd)
{
	int left = 1, i;

	for (i = 0; i < 5000 && left > 0; i++) {
		if (ioctl(socket_fd, SIOCOUTQ, &left) < 0)
			_exit(4);
		usleep(1000);
	}
	if (left > 0)
		_exit(FAKE_BAD_REQUEST);
	usleep(20000);
}

/* Reads a request and checks it as the broker would. False at the end. */
static bool read_query(int socket_fd, struct query *query)
{
	const struct fdbroker_request *header = &query->header;
	ssize_t length = recv(socket_fd, query, offsetof(struct query, extra) - 1, 0);

	if (length <= 0)
		return false;
	if (length > FDBROKER_REQUEST_MAX ||
		(size_t)length != sizeof(*header) + header->path_length + header->extra_length ||
		header->version != FDBROKER_PROTOCOL_VERSION || header->id == 0 ||
		header->operation < FDBROKER_OPEN || header->operation > FDBROKER_RELOAD ||
		(header->extra_length != 0 && header->operation != FDBROKER_RENAME &&
			header->operation != FDBROKER_LINK &&
			header->operation != FDBROKER_SYMLINK &&
			header->operation != FDBROKER_UTIMENS) ||
		(header->mode != 0 && !(header->flags & O_CREAT) &&
			header->operation != FDBROKER_ACCESS &&
			header->operation != FDBROKER_MKDIR && header->operation != FDBROKER_CHMOD))
		_exit(FAKE_BAD_REQUEST);
	memcpy(query->extra, query->path + header->path_length, header->extra_length);
	query->path[header->path_length] = '\0';
	return true;
}

static void answer(int socket_fd, const struct query *query, const struct fake_shape *shape)
{
	struct {
		struct fdbroker_reply header;
		char data[4096];
	} reply = {
		.header =
			{
				.version = (uint16_t)(FDBROKER_PROTOCOL_VERSION + shape->version),
				.operation = (uint16_t)(query->header.operation + shape->operation),
				.id = shape->id_zero ? 0 : query->header.id + (uint32_t)shape->id,
				.error = shape->error,
				.descriptors = (uint32_t)((shape->error == 0) + shape->descriptors),
				.data_length = (uint32_t)shape->data_length,
				.reserved = (uint32_t)shape->reserved,
			},
	};
	size_t length = sizeof(reply.header) + (size_t)shape->more - (size_t)shape->cut;
	int fd = fake_text_file(query->path);

	if (shape->delay_ms > 0)
		usleep(shape->delay_ms * 1000);
	fake_send(socket_fd, &reply, length, fd, (shape->error == 0) + shape->sent_descriptors);
	close(fd);
}

__attribute__((noreturn)) static void serve(int socket_fd, const struct fake_shape *shape)
{
	static const struct fake_shape good;
	static struct query query = {.header = {.operation = FDBROKER_OPEN, .id = 1}};
	struct pollfd readable = {.fd = socket_fd, .events = POLLIN};
	bool asked = shape->manner != FAKE_ANSWER_UNASKED && shape->manner != FAKE_CLOSE_UNASKED;
	bool reads =
		asked && shape->manner != FAKE_ANSWER_UNREAD && shape->manner != FAKE_CLOSE_UNREAD;
	bool answers = shape->manner == FAKE_ANSWER || shape->manner == FAKE_ANSWER_AND_CLOSE ||
		       shape->manner == FAKE_ANSWER_UNREAD || shape->manner == FAKE_ANSWER_UNASKED;

	if (asked)
		poll(&readable, 1, -1);
	if (reads && !read_query(socket_fd, &query))
		_exit(0);
	if (answers)
		answer(socket_fd, &query, shape);
	while (shape->manner == FAKE_ANSWER && read_query(socket_fd, &query))
		answer(socket_fd, &query, &good);
	_exit(0);
}

/* In the child: nothing of the test's own may keep a socket open or outlive the test. */
static void become_fake(pid_t parent, int keep)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	if (keep > 3)
		close_range(3, (unsigned int)keep - 1, 0);
	close_range((unsigned int)keep + 1, ~0u, 0);
}

int fake_fork(struct fake *fake)
{
	pid_t parent = getpid();
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fake->fd = pair[0];
	fake->pid = fork();
	assert_true(fake->pid >= 0);
	if (fake->pid == 0) {
		become_fake(parent, pair[1]);
		return pair[1];
	}
	close(pair[1]);
	return -1;
}

void fake_start(struct fake *fake, const struct fake_shape *shape)
{
	int socket_fd = fake_fork(fake);

	if (socket_fd >= 0)
		serve(socket_fd, shape);
}

static void play(int socket_fd, const struct fake_turn *turn)
{
	static struct query query;
	static struct {
		struct fdbroker_reply header;
		char data[FDBROKER_REPLY_MAX];
	} reply;
	int fd;

	if (!read_query(socket_fd, &query))
		_exit(0);
	if (query.header.operation != turn->operation || query.header.flags != turn->flags ||
		query.header.mode != turn->mode || strcmp(query.path, turn->path) != 0 ||
		query.header.extra_length != turn->extra_length ||
		(turn->extra_length != 0 &&
			memcmp(query.extra, turn->extra, turn->extra_length) != 0))
		_exit(FAKE_BAD_REQUEST);
	reply.header = (struct fdbroker_reply){
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = turn->operation,
		.id = query.header.id,
		.error = turn->error,
		.descriptors = turn->descriptors,
		.data_length = (uint32_t)turn->length,
	};
	if (turn->length > 0)
		memcpy(reply.data, turn->data, turn->length);
	fd = fake_text_file(query.path);
	usleep(turn->delay_ms * 1000);
	fake_send(
		socket_fd, &reply, sizeof(reply.header) + turn->length, fd, (int)turn->descriptors);
	close(fd);
}

void fake_play(struct fake *fake, const struct fake_turn *turns, size_t count)
{
	int socket_fd = fake_fork(fake);
	size_t i;

	if (socket_fd < 0)
		return;
	for (i = 0; i < count; i++)
		play(socket_fd, &turns[i]);
	_exit(0);
}

/* One request of one of many connections. */
static void serve_one(const struct pollfd *fds, int count, int which)
{
	static struct query query;
	struct fake_shape shape = {};
	struct fdbroker_reply restarted = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = FDBROKER_RESTARTED,
	};
	struct fdbroker_request sync;
	int i;

	if (!read_query(fds[which].fd, &query))
		return;
	if (strcmp(query.path, "/connection") == 0) {
		shape.error = FAKE_CONNECTION + (uint32_t)which - 1;
	} else if (strcmp(query.path, "/connections") == 0) {
		shape.error = FAKE_CONNECTION;
		for (i = 1; i < count; i++)
			shape.error += fds[i].fd >= 0;
	} else if (strcmp(query.path, "/mode") == 0) {
		shape.error = query.header.mode;
	} else if (strcmp(query.path, "/slow") == 0) {
		shape.delay_ms = 300;
	} else if (strcmp(query.path, "/restarted") == 0) {
		fake_send(fds[which].fd, &restarted, sizeof(restarted), -1, 0);
		if (recv(fds[which].fd, &sync, sizeof(sync), 0) != sizeof(sync) ||
			sync.operation != FDBROKER_SYNC)
			_exit(FAKE_BAD_REQUEST);
	}
	answer(fds[which].fd, &query, &shape);
}

__attribute__((noreturn)) static void serve_all(int listener)
{
	struct pollfd fds[1 + CONNECTIONS_MAX] = {{.fd = listener, .events = POLLIN}};
	int count = 1, i;
	char byte;

	for (;;) {
		poll(fds, (nfds_t)count, -1);
		/* What has ended ends before anybody asks how many there are. */
		for (i = 1; i < count; i++) {
			if (fds[i].revents == 0 || recv(fds[i].fd, &byte, 1, MSG_PEEK) > 0)
				continue;
			close(fds[i].fd);
			fds[i].fd = -1;
			fds[i].revents = 0;
		}
		for (i = 1; i < count; i++) {
			if (fds[i].revents != 0)
				serve_one(fds, count, i);
		}
		if (fds[0].revents != 0) {
			if (count > CONNECTIONS_MAX)
				_exit(5);
			fds[count].fd = accept(listener, NULL, NULL);
			fds[count].events = POLLIN;
			fds[count++].revents = 0;
		}
	}
}

void fake_listen(struct fake *fake, const char *address, uid_t uid)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address));
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pid_t parent = getpid();
	int ready[2];
	char byte;

	strcpy(name.sun_path, address);
	if (address[0] == '@')
		name.sun_path[0] = '\0';
	assert_int_equal(bind(listener, (struct sockaddr *)&name, length), 0);
	if (address[0] == '/')
		assert_int_equal(chmod(address, 0666), 0);
	assert_int_equal(pipe(ready), 0);
	fake->fd = -1;
	fake->pid = fork();
	assert_true(fake->pid >= 0);
	if (fake->pid == 0) {
		/* Whoever calls listen(2) is whom the client sees. */
		if ((uid != geteuid() && setresuid(uid, uid, uid) < 0) || listen(listener, 64) < 0)
			_exit(6);
		if (write(ready[1], "", 1) != 1)
			_exit(7);
		become_fake(parent, listener);
		serve_all(listener);
	}
	close(listener);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

void fake_wait(struct fake *fake)
{
	int status;

	assert_int_equal(waitpid(fake->pid, &status, 0), fake->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fake->pid = -1;
}

void fake_stop(struct fake *fake)
{
	int status;

	if (fake->pid < 0)
		return;
	kill(fake->pid, SIGKILL);
	assert_int_equal(waitpid(fake->pid, &status, 0), fake->pid);
	assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	fake->pid = -1;
}

int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* ".", ".." and the directory itself */

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

bool has_content(int fd, const char *text)
{
	char content[4096];
	ssize_t length = pread(fd, content, sizeof(content), 0);

	return length == (ssize_t)strlen(text) && memcmp(content, text, (size_t)length) == 0;
}
