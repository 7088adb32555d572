/* SPDX-License-Identifier: MIT */
/*
 * judge.h: gathering all rules that match, and making one decision of them. Every kind of question
 * is decided by these functions, so that no two can disagree.
 */
#ifndef POLICY_JUDGE_H
#define POLICY_JUDGE_H

#include "compiled.h"

#define NO_RULE	    UINT32_MAX
#define JUDGE_TYPES 3u
#define JUDGE_KINDS 4u

/*
 * The best place among the rules of one kind. There are four kinds, with exec or not, with types or
 * not, since which is wanted is known only when all rules have been seen.
 */
struct candidate {
	uint32_t rule, directory;
	uint16_t length;
};

struct judge {
	const struct policy *policy;
	const struct policy_caller *caller;
	uint32_t rights, highest;
	/* Of the directories that entries name; NULL: they name something else. */
	const struct directory_length *lengths;
	/* What stands against it. */
	uint32_t denied;
	uint32_t deny_rule; /* the first in the files */
	/* What speaks for it. */
	uint32_t allowed;
	uint32_t type_rights[JUDGE_TYPES];
	uint32_t exec_rights; /* that some rule gives with exec */
	struct candidate candidates[JUDGE_KINDS];
	mode_t mode;
	uid_t owner;
	gid_t group;
	uint32_t timeout; /* the smallest; 0: none */
	bool exec, creates, owners_differ;
};

void judge_init(struct judge *judge, const struct policy *policy,
	const struct policy_caller *caller, uint32_t rights,
	const struct directory_length *lengths);

/*
 * Walks along a path and gathers all denies, then all allows. The nodes stay in the scratch.
 * Returns what tree_walk returns.
 */
int judge_path(struct judge *judge, struct policy_scratch *scratch, enum tree_root root,
	const char *path, size_t length);
/* The same for a name that is one component. */
int judge_name(struct judge *judge, struct policy_scratch *scratch, enum tree_root root,
	const char *name, size_t length);
/* Counts one rule of the caller's. */
void judge_entry(struct judge *judge, const struct tree_entry *entry);
/* Counts the denies that hold everywhere, since the caller lacks a value. */
void judge_caller(struct judge *judge);

/* An empty decision: everything is missing. */
void decision_init(struct policy_decision *decision, uint32_t rights);
/* Fills in the decision; `status` is what gathering returned. */
void judge_finish(const struct judge *judge, int status, struct policy_decision *decision);

#endif
