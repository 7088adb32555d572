/* SPDX-License-Identifier: MIT */
/*
 * tree.h: all patterns of all subjects in one tree over path components, and the walk along a path.
 */
#ifndef POLICY_TREE_H
#define POLICY_TREE_H

#include "pattern.h"
#include "table.h"

/* One tree holds several name spaces, which have nothing in common but their rules. */
enum tree_root {
	TREE_FILES,
	TREE_MAPS,  /* the left sides of `map`, for the longest prefix */
	TREE_TREES, /* directories that are handed out whole */
	TREE_UNIX,  /* UNIX sockets by pathname: stream and seqpacket ... */
	TREE_UNIX_DATAGRAM,
	TREE_ABSTRACT, /* ... and by abstract name, one component each */
	TREE_ABSTRACT_DATAGRAM,
	TREE_ROOTS,
};

/* What hangs on a node: one pattern of one rule. */
struct tree_entry {
	uint32_t subject;
	uint32_t rule;
	uint32_t directory; /* that the pattern is anchored at */
};

enum { NODE_ALLOWS = 1, NODE_DENIES = 2, NODE_LITERALS = 4, NODE_DEPTH = 8 };

/*
 * Nodes are numbered in depth-first order: what lies beneath node n are n + 1 up to `end`.
 */
struct tree_node {
	uint32_t end;
	uint32_t entry, entry_count; /* sorted by subject, then rule */
	uint32_t wild, wild_count;
	uint32_t depth; /* its `**`, or 0 */
	uint32_t stamp; /* of a `**`: its number among them */
	uint32_t flags;
};

struct tree_wild {
	uint32_t child;
	uint32_t code, size; /* in the tree's codes */
};

struct tree {
	struct tree_node *nodes;
	uint32_t *parents; /* of each node; of a root itself */
	size_t node_count;
	struct tree_entry *entries;
	size_t entry_count;
	struct tree_wild *wilds;
	size_t wild_count;
	unsigned char *codes;
	struct table table;
	uint32_t roots[TREE_ROOTS];
	uint32_t homes[TREE_ROOTS]; /* the node of %h beneath each root, or 0 */
	size_t stamp_count;	    /* `**` nodes */
	size_t width;		    /* nodes that can be active at once, at most */
};

void tree_free(struct tree *tree);

/* ---- walking ----------------------------------------------------------------------------------
 */

/* More nodes at once than this, and the walk gives up: no sensible policy comes near. */
#define TREE_WIDTH_MAX 16384u

struct tree_scratch {
	uint32_t *active, *next; /* `width` each */
	size_t active_count, next_count, width;
	uint32_t *saved; /* of an earlier walk; `width` too */
	size_t saved_count;
	uint64_t *stamps; /* the step in which a `**` was last made active */
	uint64_t step;
};

int tree_scratch_init(struct tree_scratch *scratch, const struct tree *tree);
void tree_scratch_free(struct tree_scratch *scratch);

/*
 * Told of each node with denies that is passed on the way, the last included: what is beneath it is
 * denied.
 */
typedef void tree_passed(void *context, uint32_t node);

/*
 * Walks along `path`, which begins with '/', and leaves the nodes that match all of it in
 * scratch->active. Returns 0, -EINVAL where the path is not canonical, or -E2BIG (too many nodes at
 * once).
 */
int tree_walk(const struct tree *tree, enum tree_root root, struct tree_scratch *scratch,
	const struct values *values, const char *path, size_t length, tree_passed *passed,
	void *context);
/* The same with one name that is a component as it stands. */
int tree_walk_name(const struct tree *tree, enum tree_root root, struct tree_scratch *scratch,
	const struct values *values, const char *name, size_t length, tree_passed *passed,
	void *context);

#endif
