/* SPDX-License-Identifier: MIT */
#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* How often a look-up that a rename elsewhere has disturbed is tried (EAGAIN, openat2(2)). */
#define TRIES 4
/* "/proc/self/fd/" and a number. */
#define PROC_NAME 32

union address {
	struct sockaddr any;
	struct sockaddr_un local;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* The name by which the kernel finds what `descriptor` is, whatever has become of its path. */
static void write_proc_name(int descriptor, char name[PROC_NAME])
{
	char digits[12];
	size_t count = 0;

	strcpy(name, "/proc/self/fd/");
	do
		digits[count++] = (char)('0' + descriptor % 10);
	while ((descriptor /= 10));
	char *at = name + strlen(name);
	while (count)
		*at++ = digits[--count];
	*at = '\0';
}

/* Opens the path with O_PATH, through no symbolic link. */
static int find(const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long found = -1;

	for (int i = 0; i < TRIES; i++) {
		found = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
		if (found >= 0 || errno != EAGAIN)
			break;
	}
	return found < 0 ? -errno : (int)found;
}

/* ---- addresses -------------------------------------------------------------------------------- */

static socklen_t write_abstract(const char *name, union address *address)
{
	size_t length = strnlen(name, sizeof(address->local.sun_path) - 1);

	address->local.sun_family = AF_UNIX;
	memcpy(address->local.sun_path + 1, name, length);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static socklen_t write_internet(const struct endpoint *at, union address *address)
{
	if (at->family == 4) {
		address->four.sin_family = AF_INET;
		address->four.sin_port = htons(at->port_low);
		memcpy(&address->four.sin_addr, at->ip, 4);
		return sizeof(address->four);
	}
	address->six.sin6_family = AF_INET6;
	address->six.sin6_port = htons(at->port_low);
	address->six.sin6_scope_id = at->scope;
	memcpy(&address->six.sin6_addr, at->ip, 16);
	return sizeof(address->six);
}

static int open_socket(const struct endpoint *at, bool bound)
{
	bool internet = at->protocol == ENDPOINT_TCP || at->protocol == ENDPOINT_UDP;
	int family = !internet ? AF_UNIX : at->family == 4 ? AF_INET : AF_INET6;
	int type = (int)(at->type & ~(uint32_t)SOCK_NONBLOCK), on = 1;
	int made = socket(family, type | SOCK_CLOEXEC, 0);

	if (made < 0)
		return -errno;
	/* IPv6 is IPv6: what is asked for in it never reaches an IPv4 address. And a server can be started again while
	 * old connections linger, which lets nobody take the port of one that listens. */
	if ((family == AF_INET6 &&
		    setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		(bound && at->protocol == ENDPOINT_TCP &&
			setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)) {
		int error = -errno;
		close(made);
		return error;
	}
	return made;
}

/* ---- connecting ------------------------------------------------------------------------------- */

/* What is connected to is what was found, whatever its name has come to mean since. */
static int connect_pathname(int made, const char *path)
{
	union address address = {.local.sun_family = AF_UNIX};
	struct stat status;
	int found = find(path, 0);

	if (found < 0)
		return found;
	if (fstat(found, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ECONNREFUSED;
	write_proc_name(found, address.local.sun_path);
	return connect(made, &address.any, sizeof(address.local)) < 0 ? -errno : 0;
}

static int connect_it(int made, const struct act *act)
{
	union address address = {0};
	socklen_t length;

	if (act->name && !act->at.abstract)
		return connect_pathname(made, act->name);
	length = act->name ? write_abstract(act->name, &address)
			   : write_internet(&act->at, &address);
	return connect(made, &address.any, length) < 0 ? -errno : 0;
}

/* ---- binding ---------------------------------------------------------------------------------- */

/*
 * The file has its mode and its owner from the first moment: the mode of the socket's own inode becomes the file's
 * (unix(7)), and the file belongs to whoever makes it as far as file systems are concerned (setfsuid(2)). It is made
 * in the directory that was found, by its last component alone, so that no rename can lead it elsewhere.
 */
static int bind_pathname(int made, const struct act *act)
{
	union address address = {.local.sun_family = AF_UNIX};
	char directory[4096];
	const char *name = strrchr(act->name, '/') + 1;
	size_t length = (size_t)(name - act->name);
	struct stat status;

	if (strlen(name) >= sizeof(address.local.sun_path) || length >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, act->name, length);
	directory[length > 1 ? length - 1 : 1] = '\0';
	int found = find(directory, O_DIRECTORY);
	if (found < 0)
		return found;
	/* There what is made gets the directory's group, and the rule's would be given to nobody. */
	if (syscall(SYS_fstat, found, &status) < 0)
		return -errno;
	if ((status.st_mode & S_ISGID) && status.st_gid != act->group)
		return -EPERM;
	umask(0);
	if (fchdir(found) < 0 || fchmod(made, act->at.mode & 0777) < 0)
		return -errno;
	syscall(SYS_setfsgid, act->group);
	syscall(SYS_setfsuid, act->owner);
	/* They say nothing of having failed, but always what it was before. */
	if ((gid_t)syscall(SYS_setfsgid, -1) != act->group ||
		(uid_t)syscall(SYS_setfsuid, -1) != act->owner)
		return -EPERM;
	strcpy(address.local.sun_path, name);
	return bind(made, &address.any, sizeof(address.local)) < 0 ? -errno : 0;
}

static int bind_it(int made, const struct act *act)
{
	union address address = {0};
	socklen_t length;

	if (act->name && !act->at.abstract)
		return bind_pathname(made, act);
	length = act->name ? write_abstract(act->name, &address)
			   : write_internet(&act->at, &address);
	return bind(made, &address.any, length) < 0 ? -errno : 0;
}

static int make_socket(const struct act *act)
{
	int made = open_socket(&act->at, act->kind == ACT_BIND);

	if (made < 0)
		return made;
	int error = act->kind == ACT_BIND ? bind_it(made, act) : connect_it(made, act);
	if (!error && act->at.type & SOCK_NONBLOCK && fcntl(made, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		error = -errno;
	return error ? error : made;
}

/* ---- watching --------------------------------------------------------------------------------- */

static int make_watch(const struct act *act, int32_t *watch)
{
	char name[PROC_NAME];
	int inotify = inotify_init1(IN_CLOEXEC);

	if (inotify < 0)
		return -errno;
	write_proc_name(act->object, name);
	*watch = inotify_add_watch(inotify, name, act->mask);
	return *watch < 0 ? -errno : inotify;
}

int act_do(const struct act *act, int32_t *watch)
{
	return act->kind == ACT_WATCH ? make_watch(act, watch) : make_socket(act);
}
