/* SPDX-License-Identifier: MIT */
/*
 * fdbroker.h: ask fdbrokerd to open things for a program that cannot open them itself.
 *
 *	struct fdbroker *broker = fdbroker_connect(NULL);
 *	int fd = fdbroker_open(broker, "/var/log/syslog", O_RDONLY);
 *
 * In the manner of libc: a function returns a descriptor or 0, or -1 with errno set; one that returns
 * a pointer returns NULL with errno set.
 *
 * Every function is safe to call from several threads, on the same connection too. After fork(2) the
 * child may go on using a connection made by fdbroker_connect (it gets one of its own); one made by
 * fdbroker_from_fd belongs to the parent, and the child reads ENOTCONN. No function is safe to call
 * from a signal handler, none raises SIGPIPE, and none is a cancellation point.
 */
#ifndef FDBROKER_H
#define FDBROKER_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection to a broker. Who the caller is was settled when it was made. */
struct fdbroker;

/*
 * Connects to the broker at `address`: "@NAME" is an abstract name, "/PATH" a pathname socket, "fd:N"
 * a connected socket that this process inherited (it now belongs to the connection).
 *
 * `address` may be NULL: then $FDBROKER_SOCKET is used if it is set and not empty (a set-uid or
 * set-gid program ignores it), else "@fdbroker" and after it "/run/fdbroker/socket" are tried.
 *
 * The server must be root's or the caller's own, else EPERM: a stranger may have taken the name. In a
 * user namespace that does not map root, the server shows as the overflow uid; that is accepted on a
 * pathname socket and on an inherited one.
 *
 * Returns the connection, to be given to fdbroker_disconnect, or NULL with errno:
 *	EINVAL		the address has none of these forms, or fd:N is not a connected
 *			SOCK_SEQPACKET socket of AF_UNIX
 *	ENAMETOOLONG	the address does not fit into a socket address
 *	EPERM		the server is neither root's nor the caller's
 *	EBADF		fd:N is not open
 *	EBUSY		fd:N belongs to another connection of this process already
 *	EAGAIN		nobody took the connection within two seconds
 *	ECONNREFUSED, ENOENT, EACCES, EMFILE, ENFILE, ENOMEM
 *			as socket(2) and connect(2) give them. An abstract name does not cross
 *			network namespaces: ECONNREFUSED; use the pathname or an inherited socket.
 */
struct fdbroker *fdbroker_connect(const char *address);

/* As fdbroker_connect, but the server may also be, besides root and the caller, the user `server`. */
struct fdbroker *fdbroker_connect_to(const char *address, uid_t server);

/*
 * Makes a connection of `fd`, a connected SOCK_SEQPACKET socket of AF_UNIX, such as one end of a
 * socketpair or one inherited from a parent. The server at its other end is not checked: whoever gave
 * the descriptor vouches for it. On success `fd` belongs to the connection and is made close-on-exec;
 * on failure it stays the caller's.
 *
 * Returns NULL with EBADF, EINVAL (not such a socket, or not connected), EBUSY (it belongs to another
 * connection already) or ENOMEM.
 */
struct fdbroker *fdbroker_from_fd(int fd);

/* Closes the connection and frees it. NULL is allowed. errno is left alone. */
void fdbroker_disconnect(struct fdbroker *broker);

/*
 * As open(2), done by the broker: opens `path` and returns the descriptor, which belongs to the
 * caller. A third argument, a mode_t, is needed with O_CREAT. A relative path is taken relative to the
 * working directory, under the name that getcwd(3) gives it. "//", "/./" and the ".." at the head of a
 * relative path are cleaned up before the broker sees the path. Any other "..", and a trailing "/",
 * could mean something else than their text says; they are EINVAL.
 *
 * The descriptor is close-on-exec, whether O_CLOEXEC is given or not: clear FD_CLOEXEC with fcntl(2)
 * to hand it to another program. It can do no more than was asked for: a file that was there and was
 * opened for reading cannot be reopened for writing. (One that was created belongs to the caller.)
 *
 * The caller's umask is applied to the mode, as open(2) does. It is read from /proc, without /proc with
 * the help of a short-lived thread; where neither is possible, 077 is assumed.
 *
 * Errors, besides those of open(2):
 *	EACCES		the policy does not allow it (the broker's log says why)
 *	EINVAL		flags that the broker does not know or does not serve: O_PATH, O_ASYNC, an
 *			access mode of 3, O_CREAT with O_DIRECTORY
 *	EAGAIN		another process holds a lease on the file (fcntl(2))
 *	EMFILE		this process has no room for another descriptor
 *	ECONNRESET	the broker went away before it answered: it may have happened or not
 *	EPROTO		what answered does not speak this protocol
 *	ENOTCONN	the connection is the parent's (see above), or `broker` is NULL
 *
 * After ECONNRESET and EPROTO the connection is of no more use: every further call on it gets the same.
 * The first call after fork(2) may also fail as fdbroker_connect does.
 */
int fdbroker_open(struct fdbroker *broker, const char *path, int flags, ... /* mode_t mode */);

/*
 * Asks the broker about itself. Returns text, to be given to free(3): lines "NAME VALUE" such as
 * "version 0.1.0", described in fdbroker(1). NULL with errno: EACCES unless the caller is root or the
 * user the broker was started by, else as fdbroker_open.
 */
char *fdbroker_status(struct fdbroker *broker);

#ifdef __cplusplus
}
#endif

#endif
