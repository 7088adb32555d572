// SPDX-License-Identifier: MIT
/*
 * calls.c: the operations that hand out descriptors, and status, each in the shape of the call that it
 * stands for.
 *
 * The broker is the authority on what is allowed and on what is valid: nothing is refused here that
 * it could judge itself, so that the rules stand in one place. Here a mode gets the caller's umask,
 * and a negative errno becomes -1 and errno.
 *
 * An open of a path in the broker's spelling is the case to keep fast: no copy, no allocation, no
 * system call besides the exchange's two.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "connection.h"
#include "fdbroker-protocol.h"
#include "mask.h"

CLIENT_API int fdbroker_open(struct fdbroker *broker, const char *path, int flags, ...)
{
	struct exchange exchange = {
		.operation = FDBROKER_OPEN,
		.flags = (unsigned int)flags,
		.descriptor_count = 1,
	};
	int error;

	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
		va_list arguments;

		va_start(arguments, flags);
		exchange.mode = mask_apply(va_arg(arguments, mode_t));
		va_end(arguments);
	}
	error = ask_about(broker, path, false, &exchange);
	return error < 0 ? ask_failed(error) : exchange.descriptors[0];
}

CLIENT_API int fdbroker_tree(struct fdbroker *broker, const char *path, int flags)
{
	struct exchange exchange = {
		.operation = FDBROKER_TREE,
		.flags = (unsigned int)flags,
		.descriptor_count = 1,
	};
	int error = ask_about(broker, path, true, &exchange);

	return error < 0 ? ask_failed(error) : exchange.descriptors[0];
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
