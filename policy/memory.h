/* SPDX-License-Identifier: MIT */
/*
 * memory.h: an arena for what lives as long as a policy, and arrays that grow.
 *
 * A policy is thousands of small strings that are freed together, so they come from one arena. It
 * must never be used for anything of a request: a decision allocates nothing.
 */
#ifndef POLICY_MEMORY_H
#define POLICY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

/* Zeroed, it is ready for use. */
struct arena {
	struct arena_chunk *chunks;
	size_t used; /* of the newest chunk */
};

/* `size` zeroed bytes, aligned for any type; NULL where memory is short. */
void *arena_alloc(struct arena *arena, size_t size);
/* A NUL-terminated copy of `length` bytes; NULL where memory is short. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);
void arena_free(struct arena *arena);

/*
 * Makes room for `needed` elements of `size` bytes in the malloc'ed array that *array (a pointer to
 * any object type) points to. New room is not initialized. False where memory is short; nothing has
 * changed.
 */
bool array_reserve(void *array, size_t *capacity, size_t needed, size_t size);

#endif
