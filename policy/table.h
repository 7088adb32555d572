/* SPDX-License-Identifier: MIT */
/*
 * table.h: the one hash table of a tree: (parent, name) to child.
 */
#ifndef POLICY_TABLE_H
#define POLICY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct table_slot {
	uint32_t child; /* 0: empty; no child is node 0 */
	uint32_t parent;
	uint32_t hash;
	uint32_t name; /* where in the names */
	uint32_t length;
};

struct table {
	struct table_slot *slots;
	size_t size, count; /* size is a power of two */
	uint64_t seed;
	char *names;
	size_t used, room;
};

void table_free(struct table *table);

/* Adds what is not there yet. False where memory is short. */
bool table_add(
	struct table *table, uint32_t parent, const char *name, size_t length, uint32_t child);

/*
 * Makes look-ups cheap for good: looks for a seed and a size with which no run of full slots is
 * long, and puts every slot in its place (parents may have been renumbered). To be called once,
 * after the last table_add. False where memory is short.
 */
bool table_settle(struct table *table);

/* A name's hash, to be used with any number of parents. */
static inline uint64_t table_name_hash(const struct table *table, const char *name, size_t length)
{
	const uint64_t factor = 0x9e3779b97f4a7c15u;
	uint64_t hash = table->seed ^ (length * factor);
	uint64_t part;

	while (length > 8) {
		memcpy(&part, name, 8);
		hash = (hash ^ part) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
		name += 8;
		length -= 8;
	}
	part = 0;
	/* A copy of a length that is not known costs a call: take it in halves. */
	if (length & 8) {
		memcpy(&part, name, 8);
	} else {
		if (length & 4) {
			uint32_t four;

			memcpy(&four, name, 4);
			part = four;
			name += 4;
		}
		if (length & 2) {
			uint16_t two;

			memcpy(&two, name, 2);
			part = part << 16 | two;
			name += 2;
		}
		if (length & 1)
			part = part << 8 | (unsigned char)*name;
	}
	hash = (hash ^ part) * 0xc4ceb9fe1a85ec53u;
	return hash ^ hash >> 29;
}

static inline uint32_t table_slot_hash(uint64_t name_hash, uint32_t parent)
{
	uint64_t hash = (name_hash + parent) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(hash >> 32);
}

/* The child, or 0. */
static inline uint32_t table_find(const struct table *table, uint32_t parent, const char *name,
	size_t length, uint64_t name_hash)
{
	uint32_t hash = table_slot_hash(name_hash, parent);

	if (table->count == 0)
		return 0;
	for (size_t i = hash & (table->size - 1);; i = (i + 1) & (table->size - 1)) {
		const struct table_slot *slot = &table->slots[i];

		if (slot->child == 0)
			return 0;
		if (slot->hash == hash && slot->parent == parent && slot->length == length &&
			memcmp(table->names + slot->name, name, length) == 0)
			return slot->child;
	}
}

#endif
