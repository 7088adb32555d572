// SPDX-License-Identifier: MIT
/*
 * calls.c: the operations that hand out descriptors, each in the shape of the call that it stands for,
 * and those on the broker itself.
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

/* ---- the broker itself ------------------------------------------------------------------------
 */

#define TEXT_MAX (FDBROKER_REPLY_MAX - sizeof(struct fdbroker_reply))

/*
 * Makes text of the `length` bytes that `buffer`, of TEXT_MAX + 1 bytes, has got from the broker: it is
 * promised to be some. Returns it, in place of `buffer`, or NULL where it is none; then `buffer` is left.
 */
static char *text_of(char *buffer, size_t length)
{
	char *fitted;

	if (memchr(buffer, '\0', length))
		return NULL;
	buffer[length] = '\0';
	fitted = realloc(buffer, length + 1);
	return fitted ? fitted : buffer;
}

CLIENT_API char *fdbroker_status(struct fdbroker *broker)
{
	char *buffer = malloc(TEXT_MAX + 1);
	struct exchange exchange = {
		.operation = FDBROKER_STATUS,
		.path = "",
		.data = buffer,
		.data_size = TEXT_MAX,
	};
	int error = buffer ? connection_exchange(broker, &exchange) : -ENOMEM;
	char *text = error == 0 ? text_of(buffer, exchange.data_length) : NULL;

	if (text)
		return text;
	free(buffer);
	ask_failed(error == 0 ? -EPROTO : error);
	return NULL;
}

CLIENT_API int fdbroker_reload(struct fdbroker *broker, char **message)
{
	char *buffer = malloc(TEXT_MAX + 1);
	struct exchange exchange = {
		.operation = FDBROKER_RELOAD,
		.path = "",
		.data = buffer,
		.data_size = TEXT_MAX,
	};
	int error = buffer ? connection_exchange(broker, &exchange) : -ENOMEM;
	char *text = NULL;

	if (buffer && exchange.data_length > 0) {
		text = text_of(buffer, exchange.data_length);
		if (!text)
			error = -EPROTO;
	}
	if (!text || !message)
		free(text ? text : buffer);
	if (message)
		*message = text;
	return error < 0 ? ask_failed(error) : 0;
}
