// SPDX-License-Identifier: MIT
/*
 * path.c: cleans up the spelling of a path, by its text alone.
 *
 * The broker takes one spelling only, so that no rule can be sidestepped by another. This file
 * turns into it what programs commonly write, and it must never change what a path means. So it
 * drops only what means nothing wherever it stands ("//", "/./"), and ".." only at the head of a
 * relative path: getcwd(3) names the working directory without symbolic links, so there the parent
 * by text is the parent in truth. After any other name a ".." leads to the parent of whatever a
 * link points at, and a trailing "/" (or "/.") follows a link and demands a directory; neither can
 * be told from the text, and both are refused. Only where the operation itself follows links and
 * demands a directory does a trailing "/" say nothing that it does not say already.
 */
#include "path.h"

#include <errno.h>
#include <string.h>

static bool is_dot(const char *name, size_t length)
{
	return length == 1 && name[0] == '.';
}

static bool is_dot_dot(const char *name, size_t length)
{
	return length == 2 && name[0] == '.' && name[1] == '.';
}

bool path_is_canonical(const char *path, size_t *length)
{
	const char *name = path;

	if (path[0] != '/')
		return false;
	while (*name == '/') {
		const char *end = strchrnul(++name, '/');
		size_t size = (size_t)(end - name);

		if (is_dot(name, size) || is_dot_dot(name, size))
			return false;
		if (size == 0 && (*end != '\0' || name != path + 1))
			return false;
		name = end;
	}
	*length = (size_t)(name - path);
	return true;
}

/* Drops the last component of the first `length` bytes; "/" is represented by no bytes at all. */
static size_t parent(const char *buffer, size_t length)
{
	while (length > 0 && buffer[--length] != '/')
		;
	return length;
}

int path_clean(char *buffer, size_t size, size_t *length, const char *path, bool directory)
{
	bool at_head = path[0] != '/'; /* of a relative path: ".." is still certain */
	bool named = false;	       /* a name has been seen: what it is, is not certain */
	size_t used = at_head && *length > 1 ? *length : 0;

	if (path[0] == '\0')
		return -ENOENT;
	for (;;) {
		const char *end = strchrnul(path, '/');
		size_t part = (size_t)(end - path);

		if (part == 0 || is_dot(path, part)) {
			if (*end == '\0' && named && !directory)
				return -EINVAL;
		} else if (is_dot_dot(path, part)) {
			if (!at_head)
				return -EINVAL;
			used = parent(buffer, used);
		} else {
			if (used >= size || part >= size - used)
				return -ENAMETOOLONG;
			buffer[used++] = '/';
			memcpy(buffer + used, path, part);
			used += part;
			at_head = false;
			named = true;
		}
		if (*end == '\0')
			break;
		path = end + 1;
	}
	if (used == 0) {
		if (size == 0)
			return -ENAMETOOLONG;
		buffer[used++] = '/';
	}
	*length = used;
	return 0;
}
