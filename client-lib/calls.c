// SPDX-License-Identifier: MIT
/*
 * calls.c: the operations, each in the shape of the call that it stands for.
 *
 * The broker is the authority on what is allowed and on what is valid: nothing is refused here that
 * it could judge itself, so that the rules stand in one place. Here a path gets the spelling that
 * the broker takes, a mode the caller's umask, and a negative errno becomes -1 and errno.
 *
 * An open of a path in that spelling is the case to keep fast: no copy, no allocation, no system
 * call besides the exchange's two. The others pay for the buffer that they need; it must stay out
 * of fdbroker_open, which would have to clear it each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "fdbroker-protocol.h"
#include "mask.h"
#include "path.h"

static int open_exchange(struct fdbroker *broker, struct exchange *exchange)
{
	int error;

	/* A message too long would cost the connection; a path too long is the broker's to judge.
	 */
	if (exchange->path_length > FDBROKER_REQUEST_MAX - sizeof(struct fdbroker_request))
		return -ENAMETOOLONG;
	error = connection_exchange(broker, exchange);
	return error < 0 ? error : exchange->descriptors[0];
}

/* As open_exchange, for a path that is relative or otherwise not as the broker wants it. */
__attribute__((noinline)) static int open_cleaned(
	struct fdbroker *broker, const struct exchange *asked)
{
	char buffer[FDBROKER_PATH_MAX + 1];
	struct exchange exchange = *asked;
	int error;

	exchange.path = buffer;
	exchange.path_length = 0;
	if (asked->path[0] != '/' && asked->path[0] != '\0') {
		if (!getcwd(buffer, sizeof(buffer)))
			return errno == ERANGE ? -ENAMETOOLONG : -errno;
		/* getcwd(2) marks so what cannot be reached from this process's root. */
		if (buffer[0] != '/')
			return -ENOENT;
		exchange.path_length = strlen(buffer);
	}
	error = path_clean(buffer, FDBROKER_PATH_MAX, &exchange.path_length, asked->path);
	return error < 0 ? error : open_exchange(broker, &exchange);
}

/* The mode that a file is to be created with: what was asked for, less the umask. */
static uint32_t mode_to_send(mode_t mode)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	mode &= 07777 & ~mask_get();
	pthread_setcancelstate(state, NULL);
	return mode;
}

CLIENT_API int fdbroker_open(struct fdbroker *broker, const char *path, int flags, ...)
{
	struct exchange exchange = {
		.operation = FDBROKER_OPEN,
		.flags = (unsigned int)flags,
		.path = path,
		.descriptor_count = 1,
	};
	int result;

	if (!path) {
		errno = EFAULT;
		return -1;
	}
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
		va_list arguments;

		va_start(arguments, flags);
		exchange.mode = mode_to_send(va_arg(arguments, mode_t));
		va_end(arguments);
	}
	if (path_is_canonical(path, &exchange.path_length))
		result = open_exchange(broker, &exchange);
	else
		result = open_cleaned(broker, &exchange);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

CLIENT_API char *fdbroker_status(struct fdbroker *broker)
{
	const size_t room = FDBROKER_REPLY_MAX - sizeof(struct fdbroker_reply);
	char *text = malloc(room + 1);
	char *fitted;
	struct exchange exchange = {
		.operation = FDBROKER_STATUS,
		.path = "",
		.data = text,
		.data_size = room,
	};
	int error = text ? connection_exchange(broker, &exchange) : -ENOMEM;

	/* It is promised to be text. */
	if (error == 0 && memchr(text, '\0', exchange.data_length))
		error = -EPROTO;
	if (error < 0) {
		free(text);
		errno = -error;
		return NULL;
	}
	text[exchange.data_length] = '\0';
	fitted = realloc(text, exchange.data_length + 1);
	return fitted ? fitted : text;
}
