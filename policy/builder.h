/* SPDX-License-Identifier: MIT */
/*
 * builder.h: makes a tree.
 */
#ifndef POLICY_BUILDER_H
#define POLICY_BUILDER_H

#include "tree.h"

struct builder_node;
struct builder_entry;

struct builder {
	struct builder_node *nodes; /* number 0 is nobody's; then the roots */
	size_t node_count, node_capacity;
	struct builder_entry *entries;
	size_t entry_count, entry_capacity;
	struct table literals, wilds;
};

/* 0 or -ENOMEM. */
int builder_init(struct builder *builder);
void builder_free(struct builder *builder);

/*
 * Adds a pattern's nodes. *node is the one it ends at; *anchor, where it is not NULL, that of its
 * pattern_anchor. 0 or -ENOMEM.
 */
int builder_insert(struct builder *builder, enum tree_root root, const struct pattern *pattern,
	uint32_t *node, uint32_t *anchor);
/* Hangs an entry on a node. A deny counts for all beneath it. 0 or -ENOMEM. */
int builder_attach(
	struct builder *builder, uint32_t node, const struct tree_entry *entry, bool deny);
/* A number that the caller keeps with a node, at first 0. */
uint32_t *builder_note(struct builder *builder, uint32_t node);

/* Makes the tree; the builder is empty afterwards. 0 or -ENOMEM. */
int builder_finish(struct builder *builder, struct tree *tree);

#endif
