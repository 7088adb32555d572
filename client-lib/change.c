// SPDX-License-Identifier: MIT
/*
 * change.c: the operations that change names and what files are like, each in the shape of the call that it
 * stands for.
 *
 * As in calls.c the broker is the authority on what is valid. What is refused here is what its requests cannot
 * say, so that it would be asked for something else.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ask.h"
#include "connection.h"
#include "fdbroker-protocol.h"
#include "mask.h"

static int done(int error)
{
	return error < 0 ? ask_failed(error) : 0;
}

/* Whether "/" is all that stands behind the last name: it says that a directory is meant. "/." is none to make. */
static bool ends_in_slash(const char *path)
{
	size_t length = path ? strlen(path) : 0;

	return length > 0 && path[length - 1] == '/';
}

CLIENT_API int fdbroker_mkdir(struct fdbroker *broker, const char *path, mode_t mode)
{
	struct exchange exchange = {
		.operation = FDBROKER_MKDIR,
		.mode = mask_apply(mode),
	};

	return done(ask_about(broker, path, ends_in_slash(path), &exchange));
}

CLIENT_API int fdbroker_rmdir(struct fdbroker *broker, const char *path)
{
	struct exchange exchange = {.operation = FDBROKER_RMDIR};

	return done(ask_about(broker, path, ends_in_slash(path), &exchange));
}

CLIENT_API int fdbroker_unlink(struct fdbroker *broker, const char *path)
{
	struct exchange exchange = {.operation = FDBROKER_UNLINK};

	return done(ask_about(broker, path, false, &exchange));
}

CLIENT_API int fdbroker_rename2(
	struct fdbroker *broker, const char *from, const char *to, unsigned int flags)
{
	struct exchange exchange = {
		.operation = FDBROKER_RENAME,
		.flags = flags,
	};

	return done(ask_about_both(broker, from, to, &exchange));
}

CLIENT_API int fdbroker_rename(struct fdbroker *broker, const char *from, const char *to)
{
	return fdbroker_rename2(broker, from, to, 0);
}

CLIENT_API int fdbroker_link(struct fdbroker *broker, const char *from, const char *to)
{
	struct exchange exchange = {.operation = FDBROKER_LINK};

	return done(ask_about_both(broker, from, to, &exchange));
}

CLIENT_API int fdbroker_symlink(struct fdbroker *broker, const char *text, const char *path)
{
	struct exchange exchange = {.operation = FDBROKER_SYMLINK};

	if (!text)
		return ask_failed(-EFAULT);
	exchange.extra = text;
	exchange.extra_length = strlen(text);
	/* symlink(2) takes no longer one, and a message might not. */
	if (exchange.extra_length > FDBROKER_PATH_MAX)
		return ask_failed(-ENAMETOOLONG);
	return done(ask_about(broker, path, false, &exchange));
}

CLIENT_API int fdbroker_chmod(struct fdbroker *broker, const char *path, mode_t mode)
{
	struct exchange exchange = {
		.operation = FDBROKER_CHMOD, .mode = mode & 07777, /* as chmod(2) has it */
	};

	return done(ask_about(broker, path, false, &exchange));
}

static bool to_send(const struct timespec *time, struct fdbroker_time *result)
{
	bool special = time->tv_nsec == UTIME_NOW || time->tv_nsec == UTIME_OMIT;

	/* The seconds beside the special values mean nothing, and may be anything. */
	result->seconds = special ? 0 : time->tv_sec;
	result->nanoseconds = (uint32_t)time->tv_nsec;
	return special || (time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
}

CLIENT_API int fdbroker_utimens(
	struct fdbroker *broker, const char *path, const struct timespec *times, int flags)
{
	static const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	struct fdbroker_times sent = {0};
	struct exchange exchange = {
		.operation = FDBROKER_UTIMENS,
		.flags = (unsigned int)flags,
		.extra = &sent,
		.extra_length = sizeof(sent),
	};

	if (!times)
		times = now;
	if (!to_send(&times[0], &sent.accessed) || !to_send(&times[1], &sent.modified))
		return ask_failed(-EINVAL);
	return done(ask_about(broker, path, false, &exchange));
}
