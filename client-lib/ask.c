// SPDX-License-Identifier: MIT
/*
 * ask.c: what all operations on a path have in common: its spelling, and the way to the exchange.
 *
 * A path in the broker's spelling is sent from where it lies. The others pay for the buffer that they
 * need; it must stay out of ask_about, which would have to clear it each time.
 */
#include "ask.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "path.h"

int ask_spell(const char *path, bool directory, char buffer[ASK_PATH_BUFFER], size_t *length)
{
	if (!path)
		return -EFAULT;
	*length = 0;
	if (path[0] != '/' && path[0] != '\0') {
		if (!getcwd(buffer, ASK_PATH_BUFFER))
			return errno == ERANGE ? -ENAMETOOLONG : -errno;
		/* getcwd(2) marks so what cannot be reached from this process's root. */
		if (buffer[0] != '/')
			return -ENOENT;
		*length = strlen(buffer);
	}
	return path_clean(buffer, FDBROKER_PATH_MAX, length, path, directory);
}

/* As ask_about, for a path that is relative or otherwise not as the broker wants it. */
__attribute__((noinline)) static int ask_spelled(
	struct fdbroker *broker, const char *path, bool directory, struct exchange *exchange)
{
	char buffer[ASK_PATH_BUFFER];
	int error = ask_spell(path, directory, buffer, &exchange->path_length);

	if (error < 0)
		return error;
	exchange->path = buffer;
	error = connection_exchange(broker, exchange);
	exchange->path = NULL;
	return error;
}

int ask_about(struct fdbroker *broker, const char *path, bool directory, struct exchange *exchange)
{
	if (!path)
		return -EFAULT;
	if (!path_is_canonical(path, &exchange->path_length))
		return ask_spelled(broker, path, directory, exchange);
	/* A message too long would cost the connection; a path too long is the broker's to judge. */
	if (exchange->path_length >
		FDBROKER_REQUEST_MAX - sizeof(struct fdbroker_request) - exchange->extra_length)
		return -ENAMETOOLONG;
	exchange->path = path;
	return connection_exchange(broker, exchange);
}

int ask_about_both(
	struct fdbroker *broker, const char *path, const char *other, struct exchange *exchange)
{
	char buffer[ASK_PATH_BUFFER];
	int error = ask_spell(other, false, buffer, &exchange->extra_length);

	if (error < 0)
		return error;
	exchange->extra = buffer;
	error = ask_about(broker, path, false, exchange);
	exchange->extra = NULL;
	return error;
}

int ask_failed(int error)
{
	errno = -error;
	return -1;
}
