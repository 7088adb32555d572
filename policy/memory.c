/* SPDX-License-Identifier: MIT */
/*
 * memory.c: see memory.h. Chunks double in size up to a megabyte, so that a policy of ten rules
 * costs kilobytes and one of a hundred thousand a few dozen calls of malloc(3).
 */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 4096u
#define CHUNK_LAST  (1u << 20)
#define ALIGNMENT   16u

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ALIGNMENT) char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	void *result;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!chunk || chunk->size - arena->used < size) {
		size_t room = chunk ? chunk->size * 2 : CHUNK_FIRST;

		if (room > CHUNK_LAST)
			room = CHUNK_LAST;
		if (room < size)
			room = size;
		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->used = 0;
	}
	result = chunk->bytes + arena->used;
	arena->used += size;
	return result;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	if (copy && length)
		memcpy(copy, bytes, length);
	return copy;
}

void arena_free(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	memset(arena, 0, sizeof(*arena));
}

bool array_reserve(void *array, size_t *capacity, size_t needed, size_t size)
{
	size_t room = *capacity ? *capacity : 8;
	void *old, *grown;

	if (needed <= *capacity)
		return true;
	while (room < needed) {
		if (room > SIZE_MAX / 2)
			return false;
		room *= 2;
	}
	if (room > SIZE_MAX / size)
		return false;
	/* The array's own pointer type is unknown here; its bytes are copied, not aliased. */
	memcpy(&old, array, sizeof(old));
	grown = realloc(old, room * size);
	if (!grown)
		return false;
	memcpy(array, &grown, sizeof(grown));
	*capacity = room;
	return true;
}
