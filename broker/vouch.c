/* SPDX-License-Identifier: MIT */
#include "vouch.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A cookie for each client, by his number. The kernel begins with 1: 0 is nobody's. */
static off_t place_of(uint32_t client)
{
	return (off_t)client * (off_t)sizeof(uint64_t);
}

int vouch_new(void)
{
	int file = memfd_create("fdbroker-clients", MFD_CLOEXEC);

	return file < 0 ? -errno : file;
}

/* 0 or a negative errno. */
static int find_cookie(int socket, uint64_t *cookie)
{
	socklen_t length = sizeof(*cookie);

	return getsockopt(socket, SOL_SOCKET, SO_COOKIE, cookie, &length) < 0 ? -errno : 0;
}

/* All of it or nothing: it lies within a page. */
static int put(int file, uint32_t client, uint64_t cookie)
{
	ssize_t length = pwrite(file, &cookie, sizeof(cookie), place_of(client));

	return length == (ssize_t)sizeof(cookie) ? 0 : length < 0 ? -errno : -EIO;
}

int vouch_for(int file, uint32_t client, int socket)
{
	uint64_t cookie;
	int error = find_cookie(socket, &cookie);

	return error ? error : put(file, client, cookie);
}

void vouch_end(int file, uint32_t client)
{
	/* What is there already has memory. */
	put(file, client, 0);
}

bool vouch_ended(int connection)
{
	struct pollfd end = {.fd = connection};

	return poll(&end, 1, 0) > 0 && (end.revents & POLLHUP);
}

int vouch_check(int file, uint32_t client, int socket)
{
	uint64_t cookie, vouched;

	if (find_cookie(socket, &cookie))
		return -EPROTO;
	if (pread(file, &vouched, sizeof(vouched), place_of(client)) == (ssize_t)sizeof(vouched) &&
		vouched && vouched == cookie)
		return 0;
	return vouch_ended(socket) ? -EACCES : -EPROTO;
}
