/* SPDX-License-Identifier: MIT */
/*
 * table.c: see table.h. Open addressing, at most half full.
 *
 * What is in the table comes from the policy, and what is looked up from anybody. Whoever asks can
 * at worst aim at the longest run of full slots, so that run is kept short when the table is
 * settled: then no path costs more than another, whatever is known of the hash. That is why the
 * seed need be no secret and this library needs no source of chance.
 */
#include "table.h"

#include "memory.h"

#include <stdlib.h>

#define SIZE_FIRST 16u
#define RUN_MAX	   24u /* slots in a row that are full */
#define SEED_TRIES 6u

void table_free(struct table *table)
{
	free(table->slots);
	free(table->names);
	memset(table, 0, sizeof(*table));
}

static void slot_put(struct table_slot *slots, size_t size, const struct table_slot *slot)
{
	size_t i = slot->hash & (size - 1);

	while (slots[i].child)
		i = (i + 1) & (size - 1);
	slots[i] = *slot;
}

/* Moves everything to a table of another size, or one with another seed. */
static bool rebuild(struct table *table, size_t size, uint64_t seed)
{
	struct table_slot *slots = calloc(size, sizeof(*slots));
	bool new_seed = seed != table->seed;

	if (!slots)
		return false;
	table->seed = seed;
	for (size_t i = 0; i < table->size; i++) {
		struct table_slot *slot = &table->slots[i];

		if (!slot->child)
			continue;
		if (new_seed)
			slot->hash = table_slot_hash(
				table_name_hash(table, table->names + slot->name, slot->length),
				slot->parent);
		slot_put(slots, size, slot);
	}
	free(table->slots);
	table->slots = slots;
	table->size = size;
	return true;
}

bool table_add(
	struct table *table, uint32_t parent, const char *name, size_t length, uint32_t child)
{
	struct table_slot slot = {.child = child, .parent = parent, .length = (uint32_t)length};

	if ((table->count + 1) * 2 > table->size &&
		!rebuild(table, table->size ? table->size * 2 : SIZE_FIRST, table->seed))
		return false;
	if (table->used + length > UINT32_MAX ||
		!array_reserve(&table->names, &table->room, table->used + length + 1, 1))
		return false;
	slot.name = (uint32_t)table->used;
	slot.hash = table_slot_hash(table_name_hash(table, name, length), parent);
	memcpy(table->names + table->used, name, length);
	table->used += length;
	slot_put(table->slots, table->size, &slot);
	table->count++;
	return true;
}

/* Full slots in a row, at most. */
static size_t longest_run(const struct table *table)
{
	size_t longest = 0, run = 0;

	/* Once more from the start, for the run that goes round the end. */
	for (size_t i = 0; i < table->size + RUN_MAX + 1; i++) {
		run = table->slots[i & (table->size - 1)].child ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

bool table_settle(struct table *table)
{
	size_t size = table->size;

	if (table->count == 0)
		return true;
	for (unsigned int i = 0; i < SEED_TRIES; i++) {
		if (!rebuild(
			    table, size, table->seed * 6364136223846793005u + 1442695040888963407u))
			return false;
		if (longest_run(table) <= RUN_MAX)
			break;
		/* Every other time a larger table: chance alone makes longer runs in large ones. */
		size = i % 2 ? table->size * 2 : table->size;
	}
	return true;
}
