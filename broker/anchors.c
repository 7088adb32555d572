/* SPDX-License-Identifier: MIT */
#include "anchors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* The bytes of `path` up to the end of its first `depth` components. */
static size_t cut(const char *path, unsigned int depth)
{
	const char *at = path;

	while (depth-- && at[0] && at[1])
		at += 1 + strcspn(at + 1, "/");
	return at == path ? 1 : (size_t)(at - path);
}

static unsigned int count_components(const char *path)
{
	unsigned int count = 0;

	for (; path[0] && path[1]; path += 1 + strcspn(path + 1, "/"))
		count++;
	return count;
}

static uint64_t hash(const char *bytes, size_t length)
{
	uint64_t value = HASH_START;

	for (size_t i = 0; i < length; i++)
		value = (value ^ (unsigned char)bytes[i]) * HASH_PRIME;
	return value ^ value >> 32;
}

/* Cuts every path at `depth` components and finds those that are alike. How many are not. */
static size_t group(const char *const *paths, size_t count, unsigned int depth,
	struct anchor *anchors, uint32_t *table, size_t size)
{
	size_t different = 0;

	memset(table, 0xff, size * sizeof(*table));
	for (size_t i = 0; i < count; i++) {
		size_t length = cut(paths[i], depth);
		size_t at = hash(paths[i], length) % size;
		while (table[at] != UINT32_MAX &&
			(anchors[table[at]].length != length ||
				memcmp(paths[table[at]], paths[i], length) != 0))
			at = (at + 1) % size;
		if (table[at] == UINT32_MAX) {
			table[at] = (uint32_t)i;
			different++;
		}
		anchors[i].length = length;
		anchors[i].first = table[at];
	}
	return different;
}

int anchors_choose(const char *const *paths, size_t count, size_t most, struct anchor *anchors)
{
	size_t size = 2 * count + 1;
	uint32_t *table = malloc(size * sizeof(*table));
	unsigned int depth = 0;

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		unsigned int components = count_components(paths[i]);
		if (components > depth)
			depth = components;
	}
	while (group(paths, count, depth, anchors, table, size) > most && depth > 0)
		depth--;
	free(table);
	return 0;
}
