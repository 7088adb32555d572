/* SPDX-License-Identifier: MIT */
/*
 * beneath.c: trees and renaming: decisions about a directory that are decisions about all in it.
 *
 * What can match beneath a path is told by the nodes that are active at its end, whatever the names
 * beneath will be: the rules that hang on them and on their descendants. Descendants are an
 * interval of numbers, so a sorted list for each subject answers in a few steps. Two paths with the
 * same active nodes have the same rights beneath them, for ever: that makes moving a directory safe
 * to allow.
 */
#include "beneath.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_nodes(const void *a, const void *b)
{
	const struct subject_node *x = a, *y = b;

	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* Sorts a list, and takes out what a rule says twice. */
static void sort_nodes(struct subject_nodes *nodes)
{
	size_t kept = 0;

	qsort(nodes->list, nodes->count, sizeof(*nodes->list), compare_nodes);
	for (size_t i = 0; i < nodes->count; i++)
		if (kept == 0 || compare_nodes(&nodes->list[i], &nodes->list[kept - 1]) != 0)
			nodes->list[kept++] = nodes->list[i];
	nodes->count = kept;
}

int beneath_index(struct policy *policy)
{
	const struct tree *tree = &policy->tree;
	uint32_t root = tree->roots[TREE_FILES];
	struct subject_nodes *allows = &policy->allow_nodes, *denies = &policy->deny_nodes;

	allows->list = calloc(tree->entry_count + 1, sizeof(*allows->list));
	denies->list = calloc(tree->entry_count + 1, sizeof(*denies->list));
	if (!allows->list || !denies->list)
		return -ENOMEM;
	for (uint32_t node = root; node < tree->nodes[root].end; node++) {
		for (uint32_t i = 0; i < tree->nodes[node].entry_count; i++) {
			const struct tree_entry *entry =
				&tree->entries[tree->nodes[node].entry + i];
			struct subject_nodes *nodes =
				policy->rules[entry->rule].deny ? denies : allows;

			nodes->list[nodes->count++] =
				(struct subject_node){entry->subject, node, entry->rule};
		}
	}
	sort_nodes(allows);
	sort_nodes(denies);
	return 0;
}

size_t beneath_first(const struct subject_nodes *nodes, uint32_t subject, uint32_t node)
{
	size_t low = 0, high = nodes->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct subject_node *at = &nodes->list[middle];

		if (at->subject < subject || (at->subject == subject && at->node < node))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t beneath_between(const struct subject_nodes *nodes, const struct policy_caller *caller,
	uint32_t from, uint32_t until)
{
	uint32_t rule = NO_RULE;

	for (size_t i = 0; i < caller->subject_count; i++) {
		size_t at = beneath_first(nodes, caller->subjects[i], from);

		if (at < nodes->count && nodes->list[at].subject == caller->subjects[i] &&
			nodes->list[at].node < until && nodes->list[at].rule < rule)
			rule = nodes->list[at].rule;
	}
	return rule;
}

/* The node of the caller's home, where that lies beneath a path; 0 where not. */
static uint32_t home_beneath(const struct judge *judge, const char *path, size_t length)
{
	const struct values *values = &judge->caller->values;
	uint32_t home = judge->policy->tree.homes[TREE_FILES];
	size_t size = length == 1 ? 0 : length; /* the root has no name of its own */

	if (!home || !values->home || values->home_length <= size + 1 ||
		memcmp(values->home, path, size) != 0 || values->home[size] != '/')
		return 0;
	return home;
}

uint32_t beneath_denied(const struct judge *judge, const struct policy_scratch *scratch,
	const char *path, size_t length)
{
	const struct tree *tree = &judge->policy->tree;
	const struct subject_nodes *denies = &judge->policy->deny_nodes;
	uint32_t rule = NO_RULE, found, home = home_beneath(judge, path, length);

	for (size_t i = 0; i < scratch->tree.active_count; i++) {
		uint32_t node = scratch->tree.active[i];

		found = beneath_between(denies, judge->caller, node, tree->nodes[node].end);
		rule = found < rule ? found : rule;
	}
	if (home) {
		found = beneath_between(denies, judge->caller, home, tree->nodes[home].end);
		rule = found < rule ? found : rule;
	}
	for (size_t i = 0; i < judge->caller->deny_count; i++) {
		found = judge->caller->denies[i];
		/* One that speaks of addresses alone says nothing of files. */
		if (judge->policy->rules[found].rights & POLICY_PATH_RIGHTS && found < rule)
			rule = found;
	}
	return rule;
}

static void denied_by(const struct judge *judge, uint32_t rule, struct policy_decision *decision)
{
	decision->reason = POLICY_DENY_RULE;
	decision->missing = judge->rights;
	decision->rule = &judge->policy->rules[rule].place;
}

/* ---- trees ------------------------------------------------------------------------------------
 */

/* Rules that give the same tree in different clothes: the deny of either is safer than a choice. */
static bool idmaps_differ(const struct judge *judge, const struct policy_scratch *scratch)
{
	const struct policy *policy = judge->policy;
	const struct rule *first = NULL;

	for (size_t i = 0; i < scratch->tree.active_count; i++) {
		const struct tree_node *node = &policy->tree.nodes[scratch->tree.active[i]];

		for (uint32_t j = 0; j < node->entry_count; j++) {
			const struct tree_entry *entry = &policy->tree.entries[node->entry + j];
			const struct rule *rule = &policy->rules[entry->rule];

			if (!caller_has(judge->caller, entry->subject) ||
				!(rule->rights & judge->rights))
				continue;
			if (first && (rule->idmap != first->idmap ||
					     rule->idmap_from != first->idmap_from ||
					     rule->idmap_to != first->idmap_to ||
					     rule->idmap_count != first->idmap_count))
				return true;
			first = rule;
		}
	}
	return false;
}

void policy_decide_tree(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, const char *path, size_t length,
	struct policy_decision *decision)
{
	struct judge judge, files;
	uint32_t rule;
	int status = -EINVAL;

	decision_init(decision, right);
	judge_init(&judge, policy, caller, right, NULL);
	if (caller->subject_count == 0 || (right != POLICY_TREE && right != POLICY_WRITE_TREE)) {
		judge_finish(&judge, status, decision);
		return;
	}
	judge_init(&files, policy, caller, POLICY_PATH_RIGHTS, policy->directory_lengths);
	judge_caller(&files);
	status = judge_path(&files, scratch, TREE_FILES, path, length);
	rule = status ? NO_RULE : beneath_denied(&files, scratch, path, length);
	/* A deny above of any right counts as well: it covers all that is in the tree. */
	if (files.deny_rule < rule)
		rule = files.deny_rule;
	if (status == 0)
		status = judge_path(&judge, scratch, TREE_TREES, path, length);
	judge_finish(&judge, status, decision);
	if (decision->reason != POLICY_ALLOWED)
		return;
	if (rule != NO_RULE) {
		decision->directory = 0;
		denied_by(&judge, rule, decision);
	} else if (idmaps_differ(&judge, scratch)) {
		decision_init(decision, right);
		decision->missing = 0;
		decision->reason = POLICY_OWNERS_DIFFER;
	}
}

/* What the file tree says against one tree of the policy, for its own subject. */
static uint32_t tree_denied(const struct policy *policy, struct policy_caller *caller,
	struct policy_scratch *scratch, const struct policy_tree *tree)
{
	struct judge judge;
	size_t length = strlen(tree->path);
	uint32_t rule;

	judge_init(&judge, policy, caller, POLICY_PATH_RIGHTS, policy->directory_lengths);
	if (judge_path(&judge, scratch, TREE_FILES, tree->path, length))
		return NO_RULE;
	rule = beneath_denied(&judge, scratch, tree->path, length);
	return judge.deny_rule < rule ? judge.deny_rule : rule;
}

int beneath_check_trees(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	const struct tree *tree = &policy->tree;
	uint32_t root = tree->roots[TREE_TREES], subject;
	struct policy_caller caller = {.policy = policy, .subjects = &subject, .subject_count = 1};
	struct policy_scratch *scratch;
	int status = policy_scratch_new(policy, &scratch);

	caller.matched = calloc(policy->subject_count / 8 + 1, 1);
	if (!caller.matched || status) {
		policy_scratch_free(scratch);
		free(caller.matched);
		return -ENOMEM;
	}
	for (uint32_t i = tree->nodes[root].entry; i < tree->entry_count; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		const struct rule *rule = &policy->rules[entry->rule];
		struct place place = {rule->source, rule->place.line, rule->column, 5};
		uint32_t deny;

		if (i >= tree->nodes[tree->nodes[root].end - 1].entry +
				 tree->nodes[tree->nodes[root].end - 1].entry_count)
			break;
		/* What variables will stand for is not known here: that is left to the decision. */
		if (policy->trees[entry->directory].variables)
			continue;
		subject = entry->subject;
		caller.matched[subject / 8] |= (unsigned char)(1u << subject % 8);
		deny = tree_denied(policy, &caller, scratch, &policy->trees[entry->directory]);
		caller.matched[subject / 8] = 0;
		if (deny != NO_RULE)
			report_error(diagnostics, &place,
				"its holder opens what is beneath without being asked: take out one of the two",
				"the deny at %s:%u can match beneath the tree '%s'",
				policy->rules[deny].place.file, policy->rules[deny].place.line,
				policy->trees[entry->directory].path);
	}
	policy_scratch_free(scratch);
	free(caller.matched);
	return 0;
}

/* ---- moving -----------------------------------------------------------------------------------
 */

static bool is_active(const uint32_t *nodes, size_t count, uint32_t node)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i] == node)
			return true;
	return false;
}

/*
 * Whether something may be had beneath the new name, exec and types of files included, that may not
 * be had beneath the old one: a rule there that is none here. The nodes of the new name are saved,
 * those of the old one active.
 */
static bool gains_beneath(const struct judge *judge, const struct policy_scratch *scratch)
{
	const struct tree *tree = &judge->policy->tree;
	const struct tree_scratch *nodes = &scratch->tree;

	for (size_t i = 0; i < nodes->saved_count; i++) {
		uint32_t node = nodes->saved[i];

		if (beneath_between(&judge->policy->allow_nodes, judge->caller, node + 1,
			    tree->nodes[node].end) != NO_RULE &&
			!is_active(nodes->active, nodes->active_count, node))
			return true;
	}
	return false;
}

/* Rights that the new name has, or has with exec or for a type of file, and the old one not. */
static uint32_t gains(const struct judge *new_name, const struct judge *old_name)
{
	uint32_t gained = new_name->allowed & ~old_name->allowed;

	gained |= new_name->exec_rights & ~old_name->exec_rights;
	for (unsigned int i = 0; i < JUDGE_TYPES; i++)
		gained |= new_name->type_rights[i] & ~old_name->type_rights[i];
	return gained & POLICY_PATH_RIGHTS;
}

static void save_nodes(struct policy_scratch *scratch)
{
	struct tree_scratch *nodes = &scratch->tree;

	memcpy(nodes->saved, nodes->active, nodes->active_count * sizeof(*nodes->saved));
	nodes->saved_count = nodes->active_count;
}

/* Gathers everything about one end; false, with the decision filled in, where it is denied. */
static bool judge_end(struct judge *judge, struct policy_scratch *scratch, uint32_t right,
	bool is_directory, const char *path, size_t length, struct policy_decision *decision)
{
	int status;
	uint32_t rule;

	judge_caller(judge);
	status = judge_path(judge, scratch, TREE_FILES, path, length);
	rule = judge->deny_rule;
	if (status == 0 && is_directory) {
		uint32_t beneath = beneath_denied(judge, scratch, path, length);

		rule = beneath < rule ? beneath : rule;
	}
	if (status) {
		decision->reason = status == -E2BIG ? POLICY_TOO_COMPLEX : POLICY_NO_RULE;
		return false;
	}
	if (rule != NO_RULE) {
		denied_by(judge, rule, decision);
		decision->missing = right;
		return false;
	}
	/* What would move with it, or come to lie beneath it, cannot be told from the nodes. */
	if (right & ~judge->allowed || (is_directory && home_beneath(judge, path, length))) {
		decision->reason = POLICY_NO_RULE;
		decision->missing = right & ~judge->allowed ? right & ~judge->allowed : right;
		return false;
	}
	return true;
}

void policy_decide_move(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, bool is_directory, const char *from,
	size_t from_length, const char *to, size_t to_length, struct policy_decision *decision,
	uint32_t *from_directory)
{
	struct judge new_name, old_name;
	struct policy_decision old;

	*from_directory = 0;
	decision_init(decision, right);
	if (caller->subject_count == 0) {
		decision->reason = POLICY_NO_SUBJECT;
		return;
	}
	if (right != POLICY_RENAME && right != POLICY_CREATE)
		return;
	judge_init(&new_name, policy, caller, POLICY_PATH_RIGHTS, policy->directory_lengths);
	judge_init(&old_name, policy, caller, POLICY_PATH_RIGHTS, policy->directory_lengths);
	new_name.highest = old_name.highest = right;
	if (!judge_end(&new_name, scratch, right, is_directory, to, to_length, decision))
		return;
	save_nodes(scratch);
	/* A new name for a file is a way to what it holds. */
	if (!judge_end(&old_name, scratch,
		    right == POLICY_CREATE ? POLICY_CREATE | POLICY_READ : right, is_directory,
		    from, from_length, decision))
		return;
	decision->missing = gains(&new_name, &old_name);
	if (decision->missing)
		return;
	if (is_directory && gains_beneath(&old_name, scratch)) {
		decision->missing = right;
		return;
	}
	new_name.rights = old_name.rights = right;
	decision_init(&old, right);
	judge_finish(&old_name, 0, &old);
	judge_finish(&new_name, 0, decision);
	*from_directory = old.directory;
}
