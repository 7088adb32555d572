/* SPDX-License-Identifier: MIT */
/* path.h: paths in the one spelling that a broker accepts. */
#ifndef CLIENT_PATH_H
#define CLIENT_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether `path` is in that spelling already: absolute, without "", "." or ".." components and
 * without a trailing slash, save "/" itself. If so, *length is its length. Looks at the text alone.
 */
bool path_is_canonical(const char *path, size_t *length);

/*
 * Brings `path` into that spelling. `buffer` has room for `size` bytes; for a relative path it
 * holds the canonical directory that the path is relative to, *length bytes of it, and for an
 * absolute one its content is ignored. Afterwards it holds the result, *length bytes without a
 * terminating NUL.
 *
 * Dropped are empty and "." components, and for each ".." at the head of a relative path the last
 * component of the directory ("/" stays "/"). `directory` says that the path is for an operation that
 * follows links and takes nothing but a directory: then a "/" or "." after the last name is dropped
 * too. Returns 0, -ENOENT (`path` is empty), -ENAMETOOLONG (the result does not fit), or -EINVAL:
 * another "..", or, unless `directory`, a "/" or "." after the last name.
 */
int path_clean(char *buffer, size_t size, size_t *length, const char *path, bool directory);

#endif
