/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS /* Linux 6.16; not in the headers of Debian 12 */
#define SO_PASSRIGHTS 83
#endif

/* How often, and after how many us each, a lock that another holds is tried: a second in all. */
#define LOCK_TRIES 100
#define LOCK_PAUSE 10000

/* The "@NAME" of "netns:FILE/@NAME", NULL for an address of another form. */
static const char *name_in_netns(const char *address)
{
	const char *name;

	if (strncmp(address, "netns:/", 7) != 0)
		return NULL;
	name = strstr(address + 7, "/@");
	return name ? name + 1 : NULL;
}

int listen_descriptor(const char *address)
{
	char *end;

	if (strncmp(address, "fd:", 3) != 0 || address[3] < '0' || address[3] > '9')
		return -1;
	errno = 0;
	long number = strtol(address + 3, &end, 10);
	return errno || *end || number > INT_MAX ? -1 : (int)number;
}

const char *listen_check(const char *address)
{
	size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	const char *name = name_in_netns(address);

	if (strncmp(address, "fd:", 3) == 0)
		return listen_descriptor(address) > STDERR_FILENO
			       ? NULL
			       : "fd:N is an inherited listening socket: a descriptor above 2";
	if (strncmp(address, "netns:", 6) == 0 && !name)
		return "an address in a network namespace is netns:/FILE/@NAME (a /PATH is the same in "
		       "all of them)";
	if (name && strlen(address) >= LISTEN_ADDRESS_MAX)
		return "the address is too long: at most 511 bytes";
	if (name)
		address = name;
	if (address[0] != '@' && address[0] != '/')
		return "an address is @NAME (abstract), /PATH, netns:/FILE/@NAME or fd:N";
	if (address[1] == '\0')
		return "the address is empty: give it a name";
	/* A pathname needs its NUL; a name of just that length could not be written by every client. */
	if (strlen(address) >= room)
		return "the address is too long: at most 107 bytes";
	return NULL;
}

static socklen_t socket_address(const char *address, struct sockaddr_un *result)
{
	size_t length = strlen(address);

	*result = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(result->sun_path, address, length);
	if (address[0] == '@')
		result->sun_path[0] = '\0';
	else
		length++;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Whether nobody listens on the socket at `path`. */
static bool is_stale(const char *path)
{
	struct sockaddr_un address;
	socklen_t length = socket_address(path, &address);
	struct stat status;
	bool refused = false;

	if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	/* A broker's socket, or one of another type (EPROTOTYPE, which means that somebody is
	 * there). */
	int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return false;
	if (connect(probe, (struct sockaddr *)&address, length) < 0)
		refused = errno == ECONNREFUSED;
	close(probe);
	return refused;
}

/* Whether `file` is the lock that `name` still means, and nobody else's. */
static bool is_our_lock(int file, const char *name)
{
	struct stat held, named;

	return fstat(file, &held) == 0 && lstat(name, &named) == 0 && S_ISREG(held.st_mode) &&
	       held.st_uid == geteuid() && held.st_nlink == 1 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

/*
 * Two daemons that start at once must not both find the old socket stale and remove each other's. The lock
 * is a file beside the socket that exists only while one of them looks. Nobody waits for it long: in a
 * directory where others may write, somebody else may have made it.
 */
static int lock(const char *path, char *name, size_t size)
{
	snprintf(name, size, "%s.lock", path);
	for (int i = 0; i < LOCK_TRIES; i++) {
		int file = open(name,
			O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
		if (file < 0)
			return -errno;
		/* The one before may have removed it between our open and our lock. */
		if (flock(file, LOCK_EX | LOCK_NB) == 0 && is_our_lock(file, name))
			return file;
		close(file);
		usleep(LOCK_PAUSE);
	}
	return -EADDRINUSE;
}

static int bind_pathname(struct listener *listener, mode_t mode, gid_t group)
{
	struct sockaddr_un address;
	socklen_t length = socket_address(listener->address, &address);
	struct stat status;
	mode_t mask;
	int error = 0;

	/* bind(2) gives the file the mode of the socket: it never exists with another. */
	if (fchmod(listener->socket, mode) < 0)
		return -errno;
	mask = umask(0);
	if (bind(listener->socket, (struct sockaddr *)&address, length) < 0)
		error = -errno;
	if (error == -EADDRINUSE && is_stale(listener->address)) {
		error = 0;
		if (unlink(listener->address) < 0 ||
			bind(listener->socket, (struct sockaddr *)&address, length) < 0)
			error = -errno;
	}
	umask(mask);
	if (error)
		return error;
	if (lstat(listener->address, &status) < 0)
		return -errno;
	listener->made = true;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	/* Until then it is the daemon's own group's: that lets nobody in who should not be. */
	if (group != LISTEN_GROUP_KEEP && status.st_gid != group &&
		lchown(listener->address, (uid_t)-1, group) < 0)
		return -errno;
	return 0;
}

static int bind_abstract(struct listener *listener)
{
	const char *name = name_in_netns(listener->address);
	struct sockaddr_un address;
	socklen_t length = socket_address(name ? name : listener->address, &address);

	return bind(listener->socket, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

/* A socket where the address is: a descriptor or a negative errno. */
static int make_socket(const char *address)
{
	const char *name = name_in_netns(address);
	char path[LISTEN_ADDRESS_MAX];
	int result;

	if (!name) {
		result = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		return result < 0 ? -errno : result;
	}
	address += strlen("netns:");
	snprintf(path, sizeof(path), "%.*s", (int)(name - 1 - address), address);
	return netns_socket(path);
}

int listen_prepare(int socket)
{
	int on = 1, off = 0;
	int flags = fcntl(socket, F_GETFL);

	/* Nobody may be there any more when the worker accepts. */
	if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	/* Older kernels do not know it; what arrives there is closed. */
	setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
	return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? -errno : 0;
}

int listen_open(struct listener *listener, mode_t mode, gid_t group)
{
	char lock_name[PATH_MAX];
	bool pathname = listener->address[0] == '/';
	int held = -1, error;

	if (listener->inherited)
		return listener->socket < 0 ? -ESHUTDOWN : 0;
	listener->socket = make_socket(listener->address);
	if (listener->socket < 0) {
		error = listener->socket;
		listener->socket = -1;
		return error;
	}
	error = listen_prepare(listener->socket);
	if (!error && pathname) {
		held = lock(listener->address, lock_name, sizeof(lock_name));
		error = held < 0 ? held : 0;
	}
	if (!error)
		error = pathname ? bind_pathname(listener, mode, group) : bind_abstract(listener);
	if (!error && listen(listener->socket, SOMAXCONN) < 0)
		error = -errno;
	if (held >= 0) {
		unlink(lock_name);
		close(held);
	}
	if (error)
		listen_close(listener);
	return error;
}

void listen_close(struct listener *listener)
{
	struct stat status;

	if (listener->socket >= 0)
		close(listener->socket);
	listener->socket = -1;
	if (listener->made && lstat(listener->address, &status) == 0 &&
		status.st_dev == listener->device && status.st_ino == listener->inode)
		unlink(listener->address);
	listener->made = false;
}
