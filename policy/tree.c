/* SPDX-License-Identifier: MIT */
/*
 * tree.c: the walk along a path.
 *
 * A path is read once, component by component, with the set of the nodes that match what was read
 * so far: the simulation of a nondeterministic automaton, which never goes back and so is never
 * exponential. One step costs, for each active node, one look-up for its literal children and one
 * match for each of its distinct wildcards.
 *
 * The set needs no search for duplicates: a node has one parent and is entered by one edge, save
 * `**`, which is entered from its parent and stays active by itself. Only those carry a stamp.
 *
 * Nothing here allocates, and a path that is not canonical matches nothing, so that a mistake
 * further out cannot let `..` be taken for a name.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tree_free(struct tree *tree)
{
	free(tree->nodes);
	free(tree->parents);
	free(tree->entries);
	free(tree->wilds);
	free(tree->codes);
	table_free(&tree->table);
	memset(tree, 0, sizeof(*tree));
}

int tree_scratch_init(struct tree_scratch *scratch, const struct tree *tree)
{
	memset(scratch, 0, sizeof(*scratch));
	scratch->width = tree->width;
	scratch->active = calloc(scratch->width, sizeof(*scratch->active));
	scratch->next = calloc(scratch->width, sizeof(*scratch->next));
	scratch->saved = calloc(scratch->width, sizeof(*scratch->saved));
	scratch->stamps = calloc(tree->stamp_count + 1, sizeof(*scratch->stamps));
	if (!scratch->active || !scratch->next || !scratch->saved || !scratch->stamps) {
		tree_scratch_free(scratch);
		return -ENOMEM;
	}
	return 0;
}

void tree_scratch_free(struct tree_scratch *scratch)
{
	free(scratch->active);
	free(scratch->next);
	free(scratch->saved);
	free(scratch->stamps);
	memset(scratch, 0, sizeof(*scratch));
}

struct walk {
	const struct tree *tree;
	struct tree_scratch *scratch;
	const struct values *values;
	tree_passed *passed;
	void *context;
	bool overflow;
};

static inline void push(struct walk *walk, uint32_t node)
{
	struct tree_scratch *scratch = walk->scratch;

	if (scratch->next_count == scratch->width) {
		walk->overflow = true;
		return;
	}
	scratch->next[scratch->next_count++] = node;
	if (walk->tree->nodes[node].flags & NODE_DENIES)
		walk->passed(walk->context, node);
}

static inline void push_depth(struct walk *walk, uint32_t node)
{
	uint64_t *stamp = &walk->scratch->stamps[walk->tree->nodes[node].stamp];

	if (*stamp == walk->scratch->step)
		return;
	*stamp = walk->scratch->step;
	push(walk, node);
}

/* Makes a node active, and with it the `**` beneath it, which matches nothing at all, too. */
static inline void enter(struct walk *walk, uint32_t node)
{
	push(walk, node);
	if (walk->tree->nodes[node].depth)
		push_depth(walk, walk->tree->nodes[node].depth);
}

static inline void turn_over(struct tree_scratch *scratch)
{
	uint32_t *swap = scratch->active;

	scratch->active = scratch->next;
	scratch->active_count = scratch->next_count;
	scratch->next = swap;
	scratch->next_count = 0;
	scratch->step++;
}

static void start(struct walk *walk, enum tree_root root)
{
	walk->scratch->next_count = 0;
	walk->scratch->step++;
	if (walk->tree->node_count)
		enter(walk, walk->tree->roots[root]);
	turn_over(walk->scratch);
}

static inline void step(struct walk *walk, const char *name, size_t length)
{
	const struct tree *tree = walk->tree;
	struct tree_scratch *scratch = walk->scratch;
	uint64_t hash = table_name_hash(&tree->table, name, length);

	for (size_t i = 0; i < scratch->active_count; i++) {
		uint32_t number = scratch->active[i], child;
		const struct tree_node *node = &tree->nodes[number];

		if (node->flags & NODE_DEPTH)
			push_depth(walk, number);
		if (node->flags & NODE_LITERALS) {
			child = table_find(&tree->table, number, name, length, hash);
			if (child)
				enter(walk, child);
		}
		for (uint32_t j = 0; j < node->wild_count; j++) {
			const struct tree_wild *wild = &tree->wilds[node->wild + j];

			if (component_match(tree->codes + wild->code, wild->size, name, length,
				    walk->values))
				enter(walk, wild->child);
		}
	}
}

static bool has_home(const struct values *values, const char *path, size_t length)
{
	return values->home && values->home_length <= length &&
	       memcmp(values->home, path, values->home_length) == 0 &&
	       (values->home_length == length || path[values->home_length] == '/');
}

int tree_walk(const struct tree *tree, enum tree_root root, struct tree_scratch *scratch,
	const struct values *values, const char *path, size_t length, tree_passed *passed,
	void *context)
{
	struct walk walk = {tree, scratch, values, passed, context, false};
	size_t home = 0, depth = 0, at = 1;

	if (length == 0 || path[0] != '/')
		return -EINVAL;
	if (tree->homes[root] && has_home(values, path, length))
		home = values->home_depth;
	start(&walk, root);
	while (at < length) {
		const char *name = path + at;
		const char *slash = memchr(name, '/', length - at);
		size_t name_length = slash ? (size_t)(slash - name) : length - at;

		if (name_length == 0 || (slash && at + name_length + 1 == length) ||
			(name[0] == '.' &&
				(name_length == 1 || (name_length == 2 && name[1] == '.'))))
			return -EINVAL;
		step(&walk, name, name_length);
		if (++depth == home)
			enter(&walk, tree->homes[root]);
		turn_over(scratch);
		at += name_length + 1;
	}
	return walk.overflow ? -E2BIG : 0;
}

int tree_walk_name(const struct tree *tree, enum tree_root root, struct tree_scratch *scratch,
	const struct values *values, const char *name, size_t length, tree_passed *passed,
	void *context)
{
	struct walk walk = {tree, scratch, values, passed, context, false};

	start(&walk, root);
	step(&walk, name, length);
	turn_over(scratch);
	return walk.overflow ? -E2BIG : 0;
}
