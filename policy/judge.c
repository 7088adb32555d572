/* SPDX-License-Identifier: MIT */
/*
 * judge.c: see judge.h.
 *
 * Every rule that matches is looked at, so that the answer, and the rule that is named for it,
 * never depend on the order of rules. A deny that is met on the way counts like one at the end: it
 * covers what is beneath. Nothing is allocated, and what cannot be decided is denied.
 */
#include "judge.h"

#include "rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int policy_scratch_new(const struct policy *policy, struct policy_scratch **scratch)
{
	struct policy_scratch *made = calloc(1, sizeof(*made));
	int status = made ? tree_scratch_init(&made->tree, &policy->tree) : -ENOMEM;

	*scratch = NULL;
	if (status) {
		free(made);
		return status;
	}
	*scratch = made;
	return 0;
}

void policy_scratch_free(struct policy_scratch *scratch)
{
	if (!scratch)
		return;
	tree_scratch_free(&scratch->tree);
	free(scratch);
}

/*
 * Goes over the entries of a node that are the caller's. Both are sorted by subject: where the
 * caller has few subjects and the node many entries, each subject's are searched for; otherwise the
 * entries are read through.
 */
struct entries {
	const struct policy_caller *caller;
	const struct tree_entry *list;
	uint32_t count, at;
	size_t subject; /* the next of the caller's to search for */
	bool search;
};

#define SEARCH_FROM 16u

static inline struct entries entries_of(
	const struct policy *policy, const struct policy_caller *caller, uint32_t number)
{
	const struct tree_node *node = &policy->tree.nodes[number];

	return (struct entries){caller, policy->tree.entries + node->entry, node->entry_count, 0, 0,
		node->entry_count > SEARCH_FROM &&
			node->entry_count / SEARCH_FROM > caller->subject_count};
}

static bool search_next(struct entries *entries)
{
	const struct policy_caller *caller = entries->caller;

	while (entries->subject < caller->subject_count) {
		uint32_t wanted = caller->subjects[entries->subject];
		uint32_t low = entries->at, high = entries->count;

		while (low < high) {
			uint32_t middle = low + (high - low) / 2;

			if (entries->list[middle].subject < wanted)
				low = middle + 1;
			else
				high = middle;
		}
		entries->at = low;
		entries->subject++;
		if (low < entries->count && entries->list[low].subject == wanted)
			return true;
	}
	return false;
}

static inline const struct tree_entry *entries_next(struct entries *entries)
{
	if (entries->search) {
		/* The rest of the subject that was found last comes first. */
		bool same = entries->subject && entries->at < entries->count &&
			    entries->list[entries->at].subject ==
				    entries->caller->subjects[entries->subject - 1];

		if (!same && !search_next(entries))
			return NULL;
		return &entries->list[entries->at++];
	}
	while (entries->at < entries->count) {
		const struct tree_entry *entry = &entries->list[entries->at++];

		if (caller_has(entries->caller, entry->subject))
			return entry;
	}
	return NULL;
}

void judge_init(struct judge *judge, const struct policy *policy,
	const struct policy_caller *caller, uint32_t rights, const struct directory_length *lengths)
{
	*judge = (struct judge){
		.policy = policy,
		.caller = caller,
		.rights = rights,
		.highest = rights_highest(rights),
		.lengths = lengths,
		.deny_rule = NO_RULE,
		.candidates = {{NO_RULE}, {NO_RULE}, {NO_RULE}, {NO_RULE}},
	};
}

/* ---- denies -----------------------------------------------------------------------------------
 */

static void deny_by(struct judge *judge, uint32_t number)
{
	uint32_t denied = judge->policy->rules[number].rights & judge->rights;

	if (!denied)
		return;
	judge->denied |= denied;
	if (number < judge->deny_rule)
		judge->deny_rule = number;
}

static void passed(void *context, uint32_t node)
{
	struct judge *judge = context;
	struct entries entries = entries_of(judge->policy, judge->caller, node);
	const struct tree_entry *entry;

	while ((entry = entries_next(&entries)))
		if (judge->policy->rules[entry->rule].deny)
			deny_by(judge, entry->rule);
}

void judge_caller(struct judge *judge)
{
	for (size_t i = 0; i < judge->caller->deny_count; i++)
		deny_by(judge, judge->caller->denies[i]);
}

/* ---- allows -----------------------------------------------------------------------------------
 */

enum { KIND_EXEC = 1, KIND_TYPES = 2 };

static void allow_creation(struct judge *judge, const struct rule *rule)
{
	if (!judge->creates) {
		judge->creates = true;
		judge->mode = rule->mode;
		judge->owner = rule->owner;
		judge->group = rule->group;
		return;
	}
	judge->mode &= rule->mode;
	if (judge->owner != rule->owner || judge->group != rule->group)
		judge->owners_differ = true;
}

static void allow_by(struct judge *judge, const struct rule *rule, const struct tree_entry *entry)
{
	struct candidate *candidate;
	uint16_t length;

	if (!(rule->rights & judge->rights))
		return;
	judge->allowed |= rule->rights;
	if (rule->timeout && (!judge->timeout || rule->timeout < judge->timeout))
		judge->timeout = rule->timeout;
	if (rule->exec)
		judge->exec_rights |= rule->rights;
	for (unsigned int i = 0; rule->types && i < JUDGE_TYPES; i++)
		if (rule->types & 1u << i)
			judge->type_rights[i] |= rule->rights;
	if (rule->rights & judge->rights & (POLICY_CREATE | POLICY_MKDIR | POLICY_BIND))
		allow_creation(judge, rule);
	if (!(rule->rights & judge->highest))
		return;
	judge->exec |= rule->exec;
	/* What matched lies in that directory, so that its path is no longer than any path. */
	length = judge->lengths
			 ? (uint16_t)caller_length(judge->caller, &judge->lengths[entry->directory])
			 : 0;
	candidate =
		&judge->candidates[(rule->exec ? KIND_EXEC : 0) | (rule->types ? KIND_TYPES : 0)];
	if (candidate->rule == NO_RULE || length > candidate->length ||
		(length == candidate->length && entry->rule < candidate->rule))
		*candidate = (struct candidate){entry->rule, entry->directory, length};
}

void judge_entry(struct judge *judge, const struct tree_entry *entry)
{
	const struct rule *rule = &judge->policy->rules[entry->rule];

	if (rule->deny)
		deny_by(judge, entry->rule);
	else
		allow_by(judge, rule, entry);
}

static void gather_allows(struct judge *judge, const struct tree_scratch *scratch)
{
	const struct tree *tree = &judge->policy->tree;

	for (size_t i = 0; i < scratch->active_count; i++) {
		uint32_t node = scratch->active[i];
		struct entries entries;
		const struct tree_entry *entry;

		if (!(tree->nodes[node].flags & NODE_ALLOWS))
			continue;
		entries = entries_of(judge->policy, judge->caller, node);
		while ((entry = entries_next(&entries)))
			if (!judge->policy->rules[entry->rule].deny)
				allow_by(judge, &judge->policy->rules[entry->rule], entry);
	}
}

int judge_path(struct judge *judge, struct policy_scratch *scratch, enum tree_root root,
	const char *path, size_t length)
{
	int status = tree_walk(&judge->policy->tree, root, &scratch->tree, &judge->caller->values,
		path, length, passed, judge);

	if (status == 0)
		gather_allows(judge, &scratch->tree);
	return status;
}

int judge_name(struct judge *judge, struct policy_scratch *scratch, enum tree_root root,
	const char *name, size_t length)
{
	int status = tree_walk_name(&judge->policy->tree, root, &scratch->tree,
		&judge->caller->values, name, length, passed, judge);

	if (status == 0)
		gather_allows(judge, &scratch->tree);
	return status;
}

/* ---- the decision -----------------------------------------------------------------------------
 */

static const struct candidate *best_candidate(const struct judge *judge, uint32_t types)
{
	const struct candidate *best = NULL;
	unsigned int wanted = (judge->exec ? KIND_EXEC : 0) | (types ? KIND_TYPES : 0);
	int best_score = -1;

	for (unsigned int kind = 0; kind < JUDGE_KINDS; kind++) {
		const struct candidate *candidate = &judge->candidates[kind];
		int score =
			(kind & wanted & KIND_EXEC ? 2 : 0) + (kind & wanted & KIND_TYPES ? 1 : 0);

		if (candidate->rule == NO_RULE)
			continue;
		if (score > best_score ||
			(score == best_score && (candidate->length > best->length ||
							(candidate->length == best->length &&
								candidate->rule < best->rule)))) {
			best = candidate;
			best_score = score;
		}
	}
	return best;
}

static void allow(const struct judge *judge, struct policy_decision *decision)
{
	const struct candidate *candidate;

	/* A type counts where it is allowed with every right that was asked. */
	for (unsigned int i = 0; i < JUDGE_TYPES; i++)
		if (!(judge->rights & ~judge->type_rights[i]))
			decision->types |= 1u << i;
	candidate = best_candidate(judge, decision->types);
	decision->reason = POLICY_ALLOWED;
	decision->rule = &judge->policy->rules[candidate->rule].place;
	decision->directory = candidate->directory;
	decision->exec = judge->exec;
	decision->timeout = judge->timeout;
	if (judge->creates) {
		decision->mode = judge->mode;
		decision->owner = judge->owner;
		decision->group = judge->group;
	}
}

void decision_init(struct policy_decision *decision, uint32_t rights)
{
	*decision = (struct policy_decision){.reason = POLICY_NO_RULE,
		.missing = rights,
		.mode = MODE_DEFAULT,
		.owner = POLICY_OWNER_CALLER,
		.group = POLICY_GROUP_CALLER};
}

void judge_finish(const struct judge *judge, int status, struct policy_decision *decision)
{
	if (judge->caller->subject_count == 0) {
		decision->reason = POLICY_NO_SUBJECT;
		return;
	}
	if (status) {
		if (status == -E2BIG)
			decision->reason = POLICY_TOO_COMPLEX;
		return;
	}
	if (judge->denied) {
		decision->reason = POLICY_DENY_RULE;
		decision->missing = judge->denied;
		decision->rule = &judge->policy->rules[judge->deny_rule].place;
		return;
	}
	decision->missing = judge->rights & ~judge->allowed;
	if (decision->missing)
		return;
	if (judge->owners_differ) {
		decision->reason = POLICY_OWNERS_DIFFER;
		return;
	}
	allow(judge, decision);
}
