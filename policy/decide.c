/* SPDX-License-Identifier: MIT */
/*
 * decide.c: may this caller have these rights on this path?
 *
 * Every rule that matches is looked at, so that the answer, and the rule that is named for it,
 * never depend on the order of rules. A deny that is met on the way counts like one at the end: it
 * covers what is beneath. Nothing is allocated, and what cannot be decided is denied.
 */
#include "compiled.h"
#include "rights.h"
#include "rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_RULE UINT32_MAX
#define TYPES	3u

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

/* ---- denies -----------------------------------------------------------------------------------
 */

struct denies {
	const struct policy *policy;
	const struct policy_caller *caller;
	uint32_t rights;
	uint32_t denied;
	uint32_t rule; /* the first in the files */
};

static void deny_by(struct denies *denies, uint32_t number)
{
	uint32_t denied = denies->policy->rules[number].rights & denies->rights;

	if (!denied)
		return;
	denies->denied |= denied;
	if (number < denies->rule)
		denies->rule = number;
}

static void passed(void *context, uint32_t node)
{
	struct denies *denies = context;
	struct entries entries = entries_of(denies->policy, denies->caller, node);
	const struct tree_entry *entry;

	while ((entry = entries_next(&entries)))
		if (denies->policy->rules[entry->rule].deny)
			deny_by(denies, entry->rule);
}

/* ---- allows -----------------------------------------------------------------------------------
 */

/*
 * The best directory among the rules of one kind. There are four kinds, with exec or not, with
 * types or not, since which is wanted is known only when all rules have been seen.
 */
struct candidate {
	uint32_t rule, directory;
	uint16_t length;
};

enum { KIND_EXEC = 1, KIND_TYPES = 2, KINDS = 4 };

struct allows {
	const struct policy *policy;
	uint32_t rights, highest;
	uint32_t allowed;
	uint32_t type_rights[TYPES];
	struct candidate candidates[KINDS];
	mode_t mode;
	uid_t owner;
	gid_t group;
	bool exec, creates, owners_differ;
};

static void allow_creation(struct allows *allows, const struct rule *rule)
{
	if (!allows->creates) {
		allows->creates = true;
		allows->mode = rule->mode;
		allows->owner = rule->owner;
		allows->group = rule->group;
		return;
	}
	allows->mode &= rule->mode;
	if (allows->owner != rule->owner || allows->group != rule->group)
		allows->owners_differ = true;
}

static void allow_by(struct allows *allows, const struct tree_entry *entry)
{
	const struct rule *rule = &allows->policy->rules[entry->rule];
	struct candidate *candidate;
	uint16_t length;

	if (rule->deny || !(rule->rights & allows->rights))
		return;
	allows->allowed |= rule->rights;
	for (unsigned int i = 0; rule->types && i < TYPES; i++)
		if (rule->types & 1u << i)
			allows->type_rights[i] |= rule->rights;
	if (rule->rights & allows->rights & (POLICY_CREATE | POLICY_MKDIR))
		allow_creation(allows, rule);
	if (!(rule->rights & allows->highest))
		return;
	allows->exec |= rule->exec;
	length = allows->policy->directory_lengths[entry->directory];
	candidate =
		&allows->candidates[(rule->exec ? KIND_EXEC : 0) | (rule->types ? KIND_TYPES : 0)];
	if (candidate->rule == NO_RULE || length > candidate->length ||
		(length == candidate->length && entry->rule < candidate->rule))
		*candidate = (struct candidate){entry->rule, entry->directory, length};
}

static const struct candidate *best_candidate(const struct allows *allows, uint32_t types)
{
	const struct candidate *best = NULL;
	unsigned int wanted = (allows->exec ? KIND_EXEC : 0) | (types ? KIND_TYPES : 0);
	int best_score = -1;

	for (unsigned int kind = 0; kind < KINDS; kind++) {
		const struct candidate *candidate = &allows->candidates[kind];
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

static void allow(const struct allows *allows, struct policy_decision *decision)
{
	const struct candidate *candidate;

	/* A type counts where it is allowed with every right that was asked. */
	for (unsigned int i = 0; i < TYPES; i++)
		if (!(allows->rights & ~allows->type_rights[i]))
			decision->types |= 1u << i;
	candidate = best_candidate(allows, decision->types);
	decision->reason = POLICY_ALLOWED;
	decision->rule = &allows->policy->rules[candidate->rule].place;
	decision->directory = candidate->directory;
	decision->exec = allows->exec;
	if (allows->creates) {
		decision->mode = allows->mode;
		decision->owner = allows->owner;
		decision->group = allows->group;
	}
}

void policy_decide(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t rights, const char *path, size_t length,
	struct policy_decision *decision)
{
	struct denies denies = {policy, caller, rights, 0, NO_RULE};
	struct allows allows = {.policy = policy,
		.rights = rights,
		.highest = rights_highest(rights),
		.candidates = {{NO_RULE}, {NO_RULE}, {NO_RULE}, {NO_RULE}}};
	const struct tree *tree = &policy->tree;
	int status;

	*decision = (struct policy_decision){.reason = POLICY_NO_RULE,
		.missing = rights,
		.mode = MODE_DEFAULT,
		.owner = POLICY_OWNER_CALLER,
		.group = POLICY_GROUP_CALLER};
	if (caller->subject_count == 0) {
		decision->reason = POLICY_NO_SUBJECT;
		return;
	}
	if (rights == 0 || rights & ~POLICY_PATH_RIGHTS)
		return;
	status = tree_walk(
		tree, TREE_FILES, &scratch->tree, &caller->values, path, length, passed, &denies);
	if (status) {
		if (status == -E2BIG)
			decision->reason = POLICY_TOO_COMPLEX;
		return;
	}
	for (size_t i = 0; i < caller->deny_count; i++)
		deny_by(&denies, caller->denies[i]);
	if (denies.denied) {
		decision->reason = POLICY_DENY_RULE;
		decision->missing = denies.denied;
		decision->rule = &policy->rules[denies.rule].place;
		return;
	}
	for (size_t i = 0; i < scratch->tree.active_count; i++) {
		uint32_t node = scratch->tree.active[i];
		struct entries entries;
		const struct tree_entry *entry;

		if (!(tree->nodes[node].flags & NODE_ALLOWS))
			continue;
		entries = entries_of(policy, caller, node);
		while ((entry = entries_next(&entries)))
			allow_by(&allows, entry);
	}
	decision->missing = rights & ~allows.allowed;
	if (decision->missing)
		return;
	if (allows.owners_differ) {
		decision->reason = POLICY_OWNERS_DIFFER;
		return;
	}
	allow(&allows, decision);
}
