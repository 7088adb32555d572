// SPDX-License-Identifier: MIT
/*
 * inspect.c: the operations that tell about files: stat, access, readlink.
 *
 * What a reply carries goes into a buffer of the library's first. The caller's own memory must never
 * hold anything of a reply that was turned down.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ask.h"
#include "connection.h"
#include "fdbroker-protocol.h"

CLIENT_API int fdbroker_statx(
	struct fdbroker *broker, const char *path, int flags, struct statx *status)
{
	struct statx found;
	struct exchange exchange = {
		.operation = FDBROKER_STAT,
		.flags = (unsigned int)flags,
		.data = &found,
		.data_size = sizeof(found),
	};
	int error = status ? ask_about(broker, path, false, &exchange) : -EFAULT;

	if (error == 0 && exchange.data_length != sizeof(found))
		error = -EPROTO;
	if (error < 0)
		return ask_failed(error);
	*status = found;
	return 0;
}

static struct timespec to_timespec(struct statx_timestamp time)
{
	return (struct timespec){.tv_sec = (time_t)time.tv_sec, .tv_nsec = (long)time.tv_nsec};
}

static int stat_with(struct fdbroker *broker, const char *path, int flags, struct stat *status)
{
	struct statx found;

	if (!status)
		return ask_failed(-EFAULT);
	if (fdbroker_statx(broker, path, flags, &found) < 0)
		return -1;
	*status = (struct stat){
		.st_dev = makedev(found.stx_dev_major, found.stx_dev_minor),
		.st_ino = found.stx_ino,
		.st_mode = found.stx_mode,
		.st_nlink = found.stx_nlink,
		.st_uid = found.stx_uid,
		.st_gid = found.stx_gid,
		.st_rdev = makedev(found.stx_rdev_major, found.stx_rdev_minor),
		.st_size = (off_t)found.stx_size,
		.st_blksize = (blksize_t)found.stx_blksize,
		.st_blocks = (blkcnt_t)found.stx_blocks,
		.st_atim = to_timespec(found.stx_atime),
		.st_mtim = to_timespec(found.stx_mtime),
		.st_ctim = to_timespec(found.stx_ctime),
	};
	return 0;
}

CLIENT_API int fdbroker_stat(struct fdbroker *broker, const char *path, struct stat *status)
{
	return stat_with(broker, path, 0, status);
}

CLIENT_API int fdbroker_lstat(struct fdbroker *broker, const char *path, struct stat *status)
{
	return stat_with(broker, path, AT_SYMLINK_NOFOLLOW, status);
}

CLIENT_API int fdbroker_access(struct fdbroker *broker, const char *path, int mode)
{
	struct exchange exchange = {
		.operation = FDBROKER_ACCESS,
		.mode = (unsigned int)mode,
	};
	int error = ask_about(broker, path, false, &exchange);

	return error < 0 ? ask_failed(error) : 0;
}

CLIENT_API ssize_t fdbroker_readlink(
	struct fdbroker *broker, const char *path, char *buffer, size_t size)
{
	char text[PATH_MAX];
	struct exchange exchange = {
		.operation = FDBROKER_READLINK,
		.data = text,
		.data_size = sizeof(text),
	};
	size_t length;
	int error;

	if (size == 0)
		return ask_failed(-EINVAL);
	error = buffer ? ask_about(broker, path, false, &exchange) : -EFAULT;
	/* Whoever ends it with a NUL must not get another path by it. */
	if (error == 0 && memchr(text, '\0', exchange.data_length))
		error = -EPROTO;
	if (error < 0)
		return ask_failed(error);
	length = exchange.data_length < size ? exchange.data_length : size;
	memcpy(buffer, text, length);
	return (ssize_t)length;
}
