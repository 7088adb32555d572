/* SPDX-License-Identifier: MIT */
/*
 * path.c: what a path must be to be looked at at all.
 */
#include "policy.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int policy_path_check(const char *path, size_t length)
{
	size_t at = 1;

	if (length == 0)
		return -ENOENT;
	if (length > PATH_MAX - 1)
		return -ENAMETOOLONG;
	if (path[0] != '/' || memchr(path, '\0', length))
		return -EINVAL;
	while (at < length) {
		const char *name = path + at;
		const char *slash = memchr(name, '/', length - at);
		size_t size = slash ? (size_t)(slash - name) : length - at;

		if (size == 0 || at + size + 1 == length)
			return -EINVAL;
		if (name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')))
			return -EINVAL;
		if (size > NAME_MAX)
			return -ENAMETOOLONG;
		at += size + 1;
	}
	return 0;
}
