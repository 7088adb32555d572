/* SPDX-License-Identifier: MIT */
/*
 * beneath.h: what rules can match beneath a path.
 */
#ifndef POLICY_BENEATH_H
#define POLICY_BENEATH_H

#include "judge.h"

/* Lists the nodes of the tree of files by subject. 0 or -ENOMEM. */
int beneath_index(struct policy *policy);

/* The first of a subject's nodes at or behind `node`. */
size_t beneath_first(const struct subject_nodes *nodes, uint32_t subject, uint32_t node);
/* The first rule of the caller's on nodes from `from` to before `until`, or NO_RULE. */
uint32_t beneath_between(const struct subject_nodes *nodes, const struct policy_caller *caller,
	uint32_t from, uint32_t until);

/*
 * After a walk to `path`: the first rule of the caller's that denies anything beneath it; NO_RULE
 * where there is none.
 */
uint32_t beneath_denied(const struct judge *judge, const struct policy_scratch *scratch,
	const char *path, size_t length);

/* Reports each tree that has a deny beneath it in its own subject. 0 or -ENOMEM. */
int beneath_check_trees(const struct policy *policy, struct policy_diagnostics *diagnostics);

#endif
