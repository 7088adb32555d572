/* SPDX-License-Identifier: MIT */
/*
 * builder.c: makes a tree out of patterns, in two steps: nodes in the order the patterns come,
 * linked as lists, and then, when all are there, the same numbered depth first, in arrays. The
 * order of the rules leaves no trace in what the tree matches.
 */
#include "builder.h"

#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum edge { EDGE_NONE, EDGE_LITERAL, EDGE_WILD, EDGE_DEPTH, EDGE_HOME };

struct builder_node {
	uint32_t child, sibling; /* the first, and the next of the same parent; 0: none */
	uint32_t depth, home;	 /* children that there is but one of */
	uint32_t entry;		 /* the first, + 1 */
	uint32_t note;
	uint32_t code, size; /* of a wildcard, in the names of `wilds` */
	uint8_t edge, flags;
};

struct builder_entry {
	struct tree_entry entry;
	uint32_t next; /* + 1 */
};

static int node_add(struct builder *builder, uint32_t parent, enum edge edge, uint32_t *number)
{
	struct builder_node *node;

	if (builder->node_count >= UINT32_MAX - 1 ||
		!array_reserve(&builder->nodes, &builder->node_capacity, builder->node_count + 1,
			sizeof(*builder->nodes)))
		return -ENOMEM;
	*number = (uint32_t)builder->node_count++;
	node = &builder->nodes[*number];
	*node = (struct builder_node){.edge = (uint8_t)edge};
	if (parent) {
		node->sibling = builder->nodes[parent].child;
		builder->nodes[parent].child = *number;
	}
	return 0;
}

int builder_init(struct builder *builder)
{
	uint32_t number;

	memset(builder, 0, sizeof(*builder));
	for (unsigned int i = 0; i <= TREE_ROOTS; i++)
		if (node_add(builder, 0, EDGE_NONE, &number))
			return -ENOMEM;
	return 0;
}

void builder_free(struct builder *builder)
{
	free(builder->nodes);
	free(builder->entries);
	table_free(&builder->literals);
	table_free(&builder->wilds);
	memset(builder, 0, sizeof(*builder));
}

/* The child by a name in one of the two tables, made where it is not there. */
static int named_child(struct builder *builder, struct table *table, enum edge edge,
	uint32_t parent, const char *name, size_t length, uint32_t *child)
{
	*child = table_find(table, parent, name, length, table_name_hash(table, name, length));
	if (*child)
		return 0;
	if (node_add(builder, parent, edge, child) ||
		!table_add(table, parent, name, length, *child))
		return -ENOMEM;
	if (edge == EDGE_WILD) {
		builder->nodes[*child].code = (uint32_t)(table->used - length);
		builder->nodes[*child].size = (uint32_t)length;
	} else {
		builder->nodes[parent].flags |= NODE_LITERALS;
	}
	return 0;
}

static int only_child(struct builder *builder, enum edge edge, uint32_t parent, uint32_t *child)
{
	uint32_t there =
		edge == EDGE_HOME ? builder->nodes[parent].home : builder->nodes[parent].depth;
	int status;

	*child = there;
	if (there)
		return 0;
	status = node_add(builder, parent, edge, child);
	if (status)
		return status;
	if (edge == EDGE_HOME) {
		builder->nodes[parent].home = *child;
	} else {
		builder->nodes[parent].depth = *child;
		builder->nodes[*child].flags |= NODE_DEPTH;
	}
	return 0;
}

int builder_insert(struct builder *builder, enum tree_root root, const struct pattern *pattern,
	uint32_t *node, uint32_t *anchor)
{
	size_t anchor_depth = pattern_anchor(pattern);
	uint32_t at = root + 1, child;
	int status = 0;

	if (anchor)
		*anchor = at;
	for (size_t i = 0; i < pattern->count; i++) {
		const struct component *component = &pattern->components[i];
		const char *bytes = pattern->bytes + component->offset;

		switch (component->kind) {
		case COMPONENT_LITERAL:
			status = named_child(builder, &builder->literals, EDGE_LITERAL, at, bytes,
				component->length, &child);
			break;
		case COMPONENT_WILD:
			status = named_child(builder, &builder->wilds, EDGE_WILD, at, bytes,
				component->length, &child);
			break;
		case COMPONENT_DEPTH:
			status = only_child(builder, EDGE_DEPTH, at, &child);
			break;
		case COMPONENT_HOME:
			status = only_child(builder, EDGE_HOME, at, &child);
			break;
		}
		if (status)
			return status;
		at = child;
		if (anchor && i + 1 == anchor_depth)
			*anchor = at;
	}
	*node = at;
	return 0;
}

int builder_attach(
	struct builder *builder, uint32_t node, const struct tree_entry *entry, bool deny)
{
	if (builder->entry_count >= UINT32_MAX - 1 ||
		!array_reserve(&builder->entries, &builder->entry_capacity,
			builder->entry_count + 1, sizeof(*builder->entries)))
		return -ENOMEM;
	builder->entries[builder->entry_count] =
		(struct builder_entry){*entry, builder->nodes[node].entry};
	builder->nodes[node].entry = (uint32_t)++builder->entry_count;
	builder->nodes[node].flags |= deny ? NODE_DENIES : NODE_ALLOWS;
	return 0;
}

uint32_t *builder_note(struct builder *builder, uint32_t node)
{
	return &builder->nodes[node].note;
}

/* ---- numbering --------------------------------------------------------------------------------
 */

struct numbering {
	struct builder *builder;
	struct tree *tree;
	uint32_t *new_of, *old_of; /* numbers */
	uint32_t *path;		   /* old numbers of the nodes above */
	size_t depth;
	uint32_t next;
};

/*
 * Numbers what is beneath a root, depth first, without recursion: a pattern may be two thousand
 * deep. The list of children is the one state: what was visited is taken off it.
 */
static void number_beneath(struct numbering *numbering, uint32_t root)
{
	struct builder_node *nodes = numbering->builder->nodes;
	uint32_t at = root;

	numbering->depth = 0;
	numbering->tree->parents[numbering->next] = numbering->next;
	numbering->old_of[numbering->next] = at;
	numbering->new_of[at] = numbering->next++;
	for (;;) {
		uint32_t child = nodes[at].child;

		if (child) {
			nodes[at].child = nodes[child].sibling;
			numbering->path[numbering->depth++] = at;
			at = child;
			numbering->tree->parents[numbering->next] =
				numbering->new_of[numbering->path[numbering->depth - 1]];
			numbering->old_of[numbering->next] = at;
			numbering->new_of[at] = numbering->next++;
			continue;
		}
		numbering->tree->nodes[numbering->new_of[at]].end = numbering->next;
		if (numbering->depth == 0)
			return;
		at = numbering->path[--numbering->depth];
	}
}

static int compare_entries(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return x->directory < y->directory ? -1 : x->directory > y->directory;
}

static void move_entries(struct numbering *numbering, uint32_t number)
{
	struct tree *tree = numbering->tree;
	struct tree_node *node = &tree->nodes[number];
	uint32_t entry = numbering->builder->nodes[numbering->old_of[number]].entry;

	node->entry = (uint32_t)tree->entry_count;
	for (; entry; entry = numbering->builder->entries[entry - 1].next)
		tree->entries[tree->entry_count++] = numbering->builder->entries[entry - 1].entry;
	node->entry_count = (uint32_t)tree->entry_count - node->entry;
	if (node->entry_count > 1)
		qsort(tree->entries + node->entry, node->entry_count, sizeof(*tree->entries),
			compare_entries);
}

/* The wildcard children of a node were given numbers beneath it; find them by its interval. */
static void move_wilds(struct numbering *numbering, uint32_t number)
{
	struct tree *tree = numbering->tree;
	struct tree_node *node = &tree->nodes[number];

	node->wild = (uint32_t)tree->wild_count;
	for (uint32_t child = number + 1; child < node->end; child = tree->nodes[child].end) {
		const struct builder_node *old =
			&numbering->builder->nodes[numbering->old_of[child]];

		if (old->edge == EDGE_WILD)
			tree->wilds[tree->wild_count++] =
				(struct tree_wild){child, old->code, old->size};
		else if (old->edge == EDGE_DEPTH)
			node->depth = child;
	}
	node->wild_count = (uint32_t)tree->wild_count - node->wild;
}

/* What is beneath a node, for measure_width. */
struct measure {
	uint32_t width, height;
	bool depth; /* a `**` is there */
};

/*
 * How many nodes can be active at once: of the literal children of a node one, of the others all.
 * A `**` is entered again with every component, so that beneath it each level can have as many; and
 * with another `**` beneath it, which stays, everything.
 */
static void measure_node(
	const struct numbering *numbering, struct measure *measures, uint32_t number)
{
	const struct tree *tree = numbering->tree;
	const struct tree_node *node = &tree->nodes[number];
	struct measure measure = {.depth = false};
	uint64_t literal = 0, others = 0, width, all = node->end - number;

	for (uint32_t child = number + 1; child < node->end; child = tree->nodes[child].end) {
		const struct measure *below = &measures[child];

		if (numbering->builder->nodes[numbering->old_of[child]].edge != EDGE_LITERAL)
			others += below->width;
		else if (below->width > literal)
			literal = below->width;
		if (below->height >= measure.height)
			measure.height = below->height + 1;
		measure.depth |= below->depth;
	}
	width = 1 + literal + others;
	if (node->flags & NODE_DEPTH) {
		width = measure.depth ? all : width * (measure.height + 1);
		measure.depth = true;
	}
	if (width > all)
		width = all;
	measure.width = width > TREE_WIDTH_MAX ? TREE_WIDTH_MAX : (uint32_t)width;
	measures[number] = measure;
}

static int measure_width(const struct numbering *numbering)
{
	struct tree *tree = numbering->tree;
	struct measure *measures = calloc(tree->node_count + 1, sizeof(*measures));
	size_t total = 0;

	if (!measures)
		return -ENOMEM;
	for (uint32_t number = (uint32_t)tree->node_count; number-- > 0;)
		measure_node(numbering, measures, number);
	for (unsigned int i = 0; i < TREE_ROOTS; i++)
		if (measures[tree->roots[i]].width > total)
			total = measures[tree->roots[i]].width;
	free(measures);
	tree->width = total + 1;
	return 0;
}

static void move_table(const struct numbering *numbering)
{
	struct table *table = &numbering->tree->table;

	/* The numbers are part of the hash: table_settle works all of them out anew. */
	for (size_t i = 0; i < table->size; i++) {
		struct table_slot *slot = &table->slots[i];

		if (!slot->child)
			continue;
		slot->child = numbering->new_of[slot->child];
		slot->parent = numbering->new_of[slot->parent];
	}
}

static int finish(struct numbering *numbering)
{
	struct builder *builder = numbering->builder;
	struct tree *tree = numbering->tree;

	/* Number 0 is a root's that has no parent, so that 0 can say "no child". */
	for (unsigned int i = 0; i < TREE_ROOTS; i++) {
		tree->roots[i] = numbering->next;
		number_beneath(numbering, i + 1);
		if (builder->nodes[i + 1].home)
			tree->homes[i] = numbering->new_of[builder->nodes[i + 1].home];
	}
	for (uint32_t number = 0; number < tree->node_count; number++) {
		struct tree_node *node = &tree->nodes[number];

		node->flags = builder->nodes[numbering->old_of[number]].flags;
		if (node->flags & NODE_DEPTH)
			node->stamp = (uint32_t)tree->stamp_count++;
		move_entries(numbering, number);
		move_wilds(numbering, number);
	}
	/* The names of the wildcards' table are their code. */
	tree->codes = (unsigned char *)builder->wilds.names;
	builder->wilds.names = NULL;
	tree->table = builder->literals;
	memset(&builder->literals, 0, sizeof(builder->literals));
	move_table(numbering);
	if (!table_settle(&tree->table))
		return -ENOMEM;
	return measure_width(numbering);
}

int builder_finish(struct builder *builder, struct tree *tree)
{
	struct numbering numbering = {.builder = builder, .tree = tree};
	int status = -ENOMEM;

	memset(tree, 0, sizeof(*tree));
	tree->node_count = builder->node_count - 1;
	tree->nodes = calloc(tree->node_count, sizeof(*tree->nodes));
	tree->parents = calloc(tree->node_count, sizeof(*tree->parents));
	tree->entries = calloc(builder->entry_count + 1, sizeof(*tree->entries));
	tree->wilds = calloc(builder->wilds.count + 1, sizeof(*tree->wilds));
	numbering.new_of = calloc(builder->node_count, sizeof(uint32_t));
	numbering.old_of = calloc(builder->node_count, sizeof(uint32_t));
	numbering.path = calloc(builder->node_count, sizeof(uint32_t));
	if (tree->nodes && tree->parents && tree->entries && tree->wilds && numbering.new_of &&
		numbering.old_of && numbering.path)
		status = finish(&numbering);
	free(numbering.new_of);
	free(numbering.old_of);
	free(numbering.path);
	builder_free(builder);
	if (status)
		tree_free(tree);
	return status;
}
