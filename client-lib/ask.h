/* SPDX-License-Identifier: MIT */
/* ask.h: asks the broker about a path, however the caller spelled it. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "exchange.h"
#include "fdbroker-protocol.h"

/* Room for a path in the broker's spelling. */
#define ASK_PATH_BUFFER (FDBROKER_PATH_MAX + 1)

struct fdbroker;

/*
 * Brings `path` into the broker's spelling, a relative one with the help of the working directory.
 * `directory` is as for path_clean. `buffer` then holds it, *length bytes without a terminating NUL.
 * 0, or what path_clean and getcwd(3) give; -EFAULT where `path` is NULL.
 */
int ask_spell(const char *path, bool directory, char buffer[ASK_PATH_BUFFER], size_t *length);

/*
 * Runs `exchange`, all of which but the path is filled in, on `path`; `directory` is as for
 * path_clean. 0, or a negative errno: as ask_spell and connection_exchange; -ENAMETOOLONG where it
 * does not fit into a message.
 */
int ask_about(struct fdbroker *broker, const char *path, bool directory, struct exchange *exchange);

/*
 * The same about two paths: `other`, in the broker's spelling too, is sent as the extra bytes. -ENAMETOOLONG where
 * either is longer than a path may be.
 */
int ask_about_both(
	struct fdbroker *broker, const char *path, const char *other, struct exchange *exchange);

/* Sets errno to what the negative `error` says. Returns -1. */
int ask_failed(int error);

#endif
