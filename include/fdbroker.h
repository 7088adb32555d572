/* SPDX-License-Identifier: MIT */
/*
 * fdbroker.h: ask fdbrokerd for things that a program cannot reach itself.
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
 *
 * A program for a machine of 32 bits is built with -D_FILE_OFFSET_BITS=64, which pkg-config gives:
 * struct stat and struct dirent are of that kind.
 */
#ifndef FDBROKER_H
#define FDBROKER_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dirent;	 /* <dirent.h> */
struct stat;	 /* <sys/stat.h> */
struct statx;	 /* <sys/stat.h>, with _GNU_SOURCE */
struct timespec; /* <time.h> */

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
 * caller. A third argument, a mode_t, is needed with O_CREAT and O_TMPFILE. A relative path is taken from
 * the working directory, under the name that getcwd(3) gives it. "//", "/./" and the ".." at the head of a
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
 *	EAGAIN		with O_NONBLOCK: another process holds a lease on the file (fcntl(2)); without, the lease
 *			is waited for
 *	ETIMEDOUT	the file system, the other end of a FIFO or the holder of a lease did not answer in the
 *			time that the broker's administrator allows, 30 s by default. Of what creates or truncates, it
 *			may still happen when the file system answers; what is opened then is closed
 *	EMFILE		this process has no room for another descriptor
 *	ECONNRESET	the broker, or the process of it that had taken the request, went away before it
 *			answered: it may have happened or not
 *	EPROTO		what answered does not speak this protocol
 *	ENOTCONN	the connection is the parent's (see above), or `broker` is NULL
 *
 * A worker of the broker's that dies or is replaced is survived: what it left unanswered is asked again,
 * save what must not be done twice: here O_TRUNC, O_TMPFILE, and O_CREAT with O_EXCL; below, the calls that
 * say so. Those get ECONNRESET, and the connection goes on. It also comes after a hundred
 * workers that have failed one request. Where the whole broker goes away, the connection is of no more
 * use: every further call on it gets ECONNRESET; it is not made anew. So it is after EPROTO, unless only
 * the content of a reply made no sense. The first call after fork(2) may also fail as fdbroker_connect
 * does.
 */
int fdbroker_open(struct fdbroker *broker, const char *path, int flags, ... /* mode_t mode */);

/*
 * Opens the directory `path` whole: what lies beneath it the caller opens with openat(2), without the
 * broker and with permissions of its own. `flags` is O_RDONLY or, for a directory beneath which files
 * can be written, O_RDWR, and nothing else. The descriptor, close-on-exec, belongs to the caller; ".."
 * does not lead out of it.
 *
 * A "/" or "/." at the end of `path` is dropped: it says that a directory is meant, which is so anyhow.
 *
 * Errors as fdbroker_open, and:
 *	EACCES		also: something beneath it is denied to the caller
 *	EOPNOTSUPP	this broker hands out no directories
 */
int fdbroker_tree(struct fdbroker *broker, const char *path, int flags);

/*
 * As statx(2): fills `status` with what the broker's kernel says of `path` for STATX_BASIC_STATS and
 * STATX_BTIME (stx_mask has what the file system knew). `flags` is 0 or AT_SYMLINK_NOFOLLOW, which tells
 * of a symbolic link itself. Ids are those of the broker's user namespace. `path` is as in fdbroker_open.
 *
 * Returns 0, or -1 with errno, as fdbroker_open (no descriptor is made, so never EMFILE), and `status`
 * is left alone:
 *	EACCES		the policy does not allow it; and whatever else was wrong where a symbolic link
 *			led, in this and the calls below
 *	EFAULT		`path` or `status` is NULL
 *	EINVAL		other flags
 */
int fdbroker_statx(struct fdbroker *broker, const char *path, int flags, struct statx *status);

/* fdbroker_statx in the shape of stat(2), which follows symbolic links, and of lstat(2). */
int fdbroker_stat(struct fdbroker *broker, const char *path, struct stat *status);
int fdbroker_lstat(struct fdbroker *broker, const char *path, struct stat *status);

/*
 * As access(2), of what the broker would open: `mode` is F_OK, or R_OK, W_OK and X_OK together. The
 * policy counts, not the file's mode, save that something about it must be executable for X_OK.
 *
 * Returns 0, or -1 with errno as fdbroker_statx, and:
 *	EACCES		one of them is not allowed
 *	EROFS		W_OK, on a read-only file system
 */
int fdbroker_access(struct fdbroker *broker, const char *path, int mode);

/*
 * As readlink(2): puts the text of the symbolic link `path` into `buffer`, `size` bytes of it at most
 * and without a terminating NUL. (PATH_MAX bytes always suffice.) A link in the middle of `path` is
 * followed.
 *
 * Returns the number of bytes, or -1 with errno as fdbroker_statx, and:
 *	EINVAL		it is no symbolic link, or `size` is 0
 */
ssize_t fdbroker_readlink(struct fdbroker *broker, const char *path, char *buffer, size_t size);

/* A directory that is being read, by one thread at a time. */
struct fdbroker_dir;

/*
 * As opendir(3): begins to read the directory `path`. "/" and "/." at its end are dropped, as in
 * fdbroker_tree; a symbolic link is followed. The result is to be given to fdbroker_closedir, and is good
 * for reading for as long as `broker` is, also in a child of fork(2) (from where it stood then).
 *
 * Returns NULL with errno as fdbroker_statx, and ENOTDIR or ENOMEM.
 */
struct fdbroker_dir *fdbroker_opendir(struct fdbroker *broker, const char *path);

/*
 * As readdir(3): the next entry, with d_ino, d_type (DT_UNKNOWN where the file system does not say) and
 * d_name; never "." or "..". All names are given, also of files that the policy denies. It is valid
 * until the next call on `directory`.
 *
 * Entries come from the broker some hundreds at a time, as they are needed, each time by the path and
 * by the policy of that moment. So what is created or removed meanwhile may be given or not, as by
 * readdir(3), and so may entries of another directory that has taken the place of this one.
 *
 * Returns NULL at the end, with errno left alone; and on failure, with errno as fdbroker_opendir or:
 *	EPROTO		the broker sent what is no entry: too short, or a name with a "/"
 *	EINVAL		`directory` is NULL
 * After a failure it may be called again: it goes on where it stood.
 */
struct dirent *fdbroker_readdir(struct fdbroker_dir *directory);

/* Ends reading and frees it. Returns 0; -1 with EINVAL where `directory` is NULL. */
int fdbroker_closedir(struct fdbroker_dir *directory);

/*
 * As socket(2) and connect(2) in one: a socket of `type` (SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM, and
 * SOCK_NONBLOCK or not), connected to `address`: AF_UNIX, a pathname or an abstract name; AF_INET or
 * AF_INET6, for TCP with SOCK_STREAM and for UDP with SOCK_DGRAM. (`fdbroker_connect` is another matter: it
 * connects to the broker itself.) Returns the descriptor, close-on-exec, the caller's.
 *
 * The other end sees the caller's uid, gid and groups, as of when he connected to the broker, and the pid of
 * a process that is gone soon. The call returns when the socket is connected, with SOCK_NONBLOCK too; the
 * broker gives up after a time (ETIMEDOUT). A relative path is taken as by fdbroker_open. An address of IPv4
 * written as one of IPv6 (::ffff:192.0.2.1) is what it means: the socket is of AF_INET. Addresses and
 * abstract names are those of the broker's network namespace, paths of its mount namespace.
 *
 * Errors, besides those of socket(2) and connect(2) (ECONNREFUSED, ENOENT, ENETUNREACH, ...) and of
 * fdbroker_open:
 *	EACCES		the policy does not allow it, or a symbolic link is on the way of the path
 *	EINVAL		the type is not one of the address; an abstract name with a NUL byte in it
 *	EAFNOSUPPORT	an address of another family
 *	ETIMEDOUT	nobody took the connection in time
 *	EPERM		this broker may not act as the caller
 */
int fdbroker_socket_connect(
	struct fdbroker *broker, int type, const struct sockaddr *address, socklen_t length);

/*
 * As socket(2) and bind(2) in one: likewise, but bound to `address`. It does not listen: the caller does, and
 * so shows his own uid to its clients. A pathname socket is made in the mode that the policy says, whatever
 * the umask, and never in the place of something else. getsockname(2) tells only the last component of its path.
 * One of AF_INET6 is for IPv6 alone (IPV6_V6ONLY), one for TCP has SO_REUSEADDR and none SO_REUSEPORT.
 *
 * Errors as fdbroker_socket_connect, and those of bind(2): EADDRINUSE, EADDRNOTAVAIL, ...
 */
int fdbroker_socket_bind(
	struct fdbroker *broker, int type, const struct sockaddr *address, socklen_t length);

/*
 * As inotify_init1(2) and inotify_add_watch(2) in one: returns an inotify descriptor, close-on-exec, the
 * caller's, that reports the events of `mask` on `path` (as in fdbroker_open, and a "/" at its end is not
 * dropped). The watch's number becomes *watch, unless that is NULL. The caller may add further watches, on
 * what he can reach himself. The instance counts among those of his own uid (fs.inotify.max_user_instances).
 *
 * Returns -1 with errno as fdbroker_open, and:
 *	EINVAL		no event, or IN_MASK_ADD or IN_MASK_CREATE, which have no use here
 *	EMFILE		also: he has too many instances
 *	ENOSPC		he has too many watches
 */
int fdbroker_watch(struct fdbroker *broker, const char *path, uint32_t mask, int *watch);

/*
 * As mkdir(2): makes the directory `path`. It belongs to the owner that the policy says, the caller by default. The
 * umask is applied as by fdbroker_open, and so is the policy's `mode`: where that lets a file be read, a directory may
 * be searched. Set-uid, set-gid and sticky bits are left out, also those that others inherit. A "/" at the end is
 * dropped.
 *
 * This and the calls below return 0, or -1 with errno as the call they stand for, as fdbroker_statx, and:
 *	EACCES		the policy does not allow it; and whatever else was wrong where a symbolic link
 *			among the directories led
 *	EAGAIN		something on the way, or what was made, changed all the time
 *	ECONNRESET	the broker went away before it answered: it may have happened or not
 *	EOPNOTSUPP	this broker does not serve it
 */
int fdbroker_mkdir(struct fdbroker *broker, const char *path, mode_t mode);

/* As rmdir(2): removes an empty directory. A "/" at the end is dropped. */
int fdbroker_rmdir(struct fdbroker *broker, const char *path);

/* As unlink(2): removes the name of anything but a directory. A symbolic link is removed itself. */
int fdbroker_unlink(struct fdbroker *broker, const char *path);

/*
 * As rename(2) and renameat2(2): gives `from` the name `to`. `flags` is 0, RENAME_NOREPLACE or RENAME_EXCHANGE of
 * <stdio.h>. On the old name the caller must have every right that it has on the new one, and no deny may stand
 * against either, nor, unless it is certain that no directory is moved, against anything beneath. Errors, besides:
 *	EXDEV		the policy's rules for the two are about different directories, or they are on
 *			different file systems: copy it
 */
int fdbroker_rename(struct fdbroker *broker, const char *from, const char *to);
int fdbroker_rename2(struct fdbroker *broker, const char *from, const char *to, unsigned int flags);

/*
 * As link(2): gives the file `from` the name `to` as well. A symbolic link is not followed, and none is linked. Errors
 * as fdbroker_rename, and:
 *	EPERM		also: the file has a set-uid, set-gid or sticky bit
 */
int fdbroker_link(struct fdbroker *broker, const char *from, const char *to);

/*
 * As symlink(2): makes `path` a symbolic link that says `text`, which may be anything. Its owner is as a directory's.
 */
int fdbroker_symlink(struct fdbroker *broker, const char *text, const char *path);

/*
 * As chmod(2), of regular files and directories; the umask does not matter. A directory takes, besides the right to
 * write, that to make it, and nothing beneath may be denied. Errors, besides:
 *	EPERM		`mode` has a set-uid, set-gid or sticky bit: the broker sets none. Those that a file
 *			has are gone afterwards, as with chmod(2).
 */
int fdbroker_chmod(struct fdbroker *broker, const char *path, mode_t mode);

/*
 * As utimensat(2): sets the times of access and modification, the two at `times`, whose tv_nsec may be UTIME_NOW
 * or UTIME_OMIT of <sys/stat.h>; both become the present one where `times` is NULL. `flags` is 0, or
 * AT_SYMLINK_NOFOLLOW for the times of a symbolic link itself.
 */
int fdbroker_utimens(
	struct fdbroker *broker, const char *path, const struct timespec *times, int flags);

/*
 * Asks the broker about itself. Returns text, to be given to free(3): lines "NAME VALUE" such as
 * "version 0.1.0", described in fdbroker(1). NULL with errno: EACCES unless the caller is root or the
 * user the broker was started by, else as fdbroker_open.
 */
char *fdbroker_status(struct fdbroker *broker);

/*
 * Has the broker read its policy again, and waits for the result. Once 0 is returned nothing is decided
 * by the old one any more; after a failure that the broker reported the old one goes on serving.
 *
 * `message` may be NULL. Else *message becomes what the broker has to say to a person, on failure for
 * instance what is wrong with the policy, to be given to free(3), or NULL where it says nothing.
 *
 * Returns 0, or -1 with errno: EACCES unless the caller is root or the user the broker was started by;
 * ECONNRESET, never being asked twice, also where the worker went away; EPROTO also where the message was
 * no text; else as fdbroker_open and as the broker says.
 */
int fdbroker_reload(struct fdbroker *broker, char **message);

#ifdef __cplusplus
}
#endif

#endif
