/* SPDX-License-Identifier: MIT */
#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* FNV-1a: told apart, not defended against. Who can mount can do more than confuse this. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* The kernel writes a space, a tab, a newline and a backslash as \ooo. The length. */
static size_t unescape(const char *field, size_t length, char *path)
{
	size_t used = 0;

	for (size_t at = 0; at < length && used < PATH_MAX - 1; at++) {
		unsigned char byte = (unsigned char)field[at];
		if (byte == '\\' && at + 3 < length) {
			byte = (unsigned char)((field[at + 1] - '0') << 6 |
					       (field[at + 2] - '0') << 3 | (field[at + 3] - '0'));
			at += 3;
		}
		path[used++] = (char)byte;
	}
	path[used] = '\0';
	return used;
}

/* Whether `one` is `other` or lies beneath it. */
static bool lies_beneath(const char *one, const char *other)
{
	size_t length = strlen(other);

	if (length == 1)
		return true;
	return strncmp(one, other, length) == 0 && (one[length] == '\0' || one[length] == '/');
}

/* The fifth field of a line, which says where it is mounted. */
static const char *mount_point(const char *line, size_t *length)
{
	for (int i = 0; i < 4; i++) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	*length = strcspn(line, " \n");
	return line;
}

uint64_t mounts_signature(const char *text, const char *path)
{
	char point[PATH_MAX];
	uint64_t hash = HASH_START;

	while (*text) {
		size_t line = strcspn(text, "\n"), length;
		const char *field = mount_point(text, &length);
		if (field) {
			unescape(field, length, point);
			if (lies_beneath(path, point) || lies_beneath(point, path))
				for (size_t i = 0; i < line; i++)
					hash = (hash ^ (unsigned char)text[i]) * HASH_PRIME;
		}
		text += line;
		text += *text == '\n';
	}
	return hash;
}

uint64_t mounts_place(const char *text, const char *path)
{
	char point[PATH_MAX];
	size_t deepest = 0;
	uint64_t hash = HASH_START;

	while (*text) {
		size_t line = strcspn(text, "\n"), length;
		const char *field = mount_point(text, &length);
		if (field) {
			length = unescape(field, length, point);
			if (length > deepest && lies_beneath(path, point))
				deepest = length;
		}
		text += line;
		text += *text == '\n';
	}
	for (size_t i = 0; i < deepest; i++)
		hash = (hash ^ (unsigned char)path[i]) * HASH_PRIME;
	return hash;
}

size_t mounts_count(const char *text)
{
	size_t count = 0;

	/* A newline in a path is escaped. */
	for (; *text; text++)
		count += *text == '\n';
	return count;
}

char *mounts_read(int file)
{
	size_t size = 16384, used = 0;
	char *text = malloc(size);
	ssize_t length = -1;

	if (!text || lseek(file, 0, SEEK_SET) < 0) {
		free(text);
		return NULL;
	}
	while ((length = read(file, text + used, size - used - 1)) > 0 ||
		(length < 0 && errno == EINTR)) {
		if (length > 0)
			used += (size_t)length;
		if (size - used > 4096)
			continue;
		char *larger = realloc(text, size *= 2);
		if (!larger) {
			free(text);
			return NULL;
		}
		text = larger;
	}
	if (length < 0) {
		free(text);
		return NULL;
	}
	text[used] = '\0';
	return text;
}
