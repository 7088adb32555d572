/* SPDX-License-Identifier: MIT */
/*
 * explain.c: why a decision is what it is. The decision itself is policy_ask's, so that what is
 * explained and what is decided cannot differ; what is added here is only what else stands near.
 */
#include "beneath.h"
#include "compiled.h"
#include "judge.h"

#include <errno.h>
#include <string.h>

static void rule_info(const struct rule *rule, struct policy_rule_info *info)
{
	const char *text;
	size_t length = source_line(rule->source, rule->place.line, &text);

	while (length && (*text == ' ' || *text == '\t')) {
		text++;
		length--;
	}
	while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	*info = (struct policy_rule_info){rule->place, rule->column, rule->deny, rule->written,
		rule->variables & VARIABLE_USER, rule->variables & VARIABLE_UID,
		rule->variables & VARIABLE_HOME, text, length};
}

void policy_rule_get(const struct policy *policy, size_t i, struct policy_rule_info *info)
{
	rule_info(&policy->rules[i], info);
}

bool policy_rule_find(const struct policy *policy, const struct policy_rule_place *place,
	struct policy_rule_info *info)
{
	for (size_t i = 0; place && i < policy->rule_count; i++) {
		if (&policy->rules[i].place == place) {
			rule_info(&policy->rules[i], info);
			return true;
		}
	}
	return false;
}

struct search {
	const struct policy *policy;
	const struct policy_identity *identity;
	const struct policy_caller *caller;
	uint32_t rights;
	struct policy_explanation *explanation;
	uint32_t best; /* rule */
};

static void found(
	struct search *search, enum policy_near near, uint32_t rule, unsigned int mismatch)
{
	struct policy_explanation *explanation = search->explanation;

	/* The kinds are in the order of their worth; of one kind the first in the files. */
	if (explanation->near &&
		(near > explanation->near || (near == explanation->near && rule >= search->best)))
		return;
	explanation->near = near;
	explanation->mismatch = mismatch;
	search->best = rule;
	rule_info(&search->policy->rules[rule], &explanation->near_rule);
}

/* Rules whose pattern matches all of the path. */
static void search_node(struct search *search, const struct tree_node *node)
{
	const struct policy *policy = search->policy;

	for (uint32_t i = 0; i < node->entry_count; i++) {
		const struct tree_entry *entry = &policy->tree.entries[node->entry + i];
		const struct rule *rule = &policy->rules[entry->rule];
		unsigned int mismatch;

		if (rule->deny)
			continue;
		mismatch = subject_mismatch(
			policy, &policy->subjects[entry->subject], search->identity);
		if (mismatch == 0)
			found(search, POLICY_NEAR_RIGHT, entry->rule, 0);
		else if (!(search->rights & ~rule->rights) && !(mismatch & (mismatch - 1)))
			found(search, POLICY_NEAR_SUBJECT, entry->rule, mismatch);
	}
}

static void pass_by(void *context, uint32_t node)
{
	(void)context;
	(void)node;
}

/* All of the caller's allows on nodes from `from` to before `until`: the first in the files counts. */
static void search_beneath(struct search *search, uint32_t from, uint32_t until)
{
	const struct policy *policy = search->policy;
	const struct subject_nodes *allows = &policy->allow_nodes;

	for (size_t i = 0; i < search->caller->subject_count; i++) {
		uint32_t subject = search->caller->subjects[i];
		size_t at = beneath_first(allows, subject, from);

		for (; at < allows->count && allows->list[at].subject == subject &&
			allows->list[at].node < until;
			at++) {
			uint32_t rule = allows->list[at].rule;

			if (!(search->rights & ~policy->rules[rule].rights))
				found(search, POLICY_NEAR_PATH, rule, 0);
		}
	}
}

/* The rule that is the caller's, has the rights, and shares the longest beginning with the path. */
static void search_beginnings(struct search *search, struct policy_scratch *scratch, size_t length)
{
	const struct policy *policy = search->policy;
	const char *path = search->explanation->target;

	while (length > 1 && !search->explanation->near) {
		while (path[length - 1] != '/')
			length--;
		length = length > 1 ? length - 1 : 1;
		/* What begins with nothing but the root is not near. */
		if (length == 1 || tree_walk(&policy->tree, TREE_FILES, &scratch->tree,
					   &search->caller->values, path, length, pass_by, NULL))
			return;
		for (size_t i = 0; i < scratch->tree.active_count; i++) {
			uint32_t node = scratch->tree.active[i];

			search_beneath(search, node + 1, policy->tree.nodes[node].end);
		}
		search->explanation->depth = length;
	}
}

static int search_path(struct search *search)
{
	struct policy_explanation *explanation = search->explanation;
	const struct tree *tree = &search->policy->tree;
	struct policy_scratch *scratch;
	size_t length = strlen(explanation->target);
	int status = policy_scratch_new(search->policy, &scratch);

	if (status)
		return status;
	if (tree_walk(tree, TREE_FILES, &scratch->tree, &search->caller->values,
		    explanation->target, length, pass_by, NULL) == 0) {
		for (size_t i = 0; i < scratch->tree.active_count; i++)
			search_node(search, &tree->nodes[scratch->tree.active[i]]);
		if (!explanation->near)
			search_beginnings(search, scratch, length);
	}
	policy_scratch_free(scratch);
	return 0;
}

int policy_explain(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const char *target, struct policy_explanation *explanation)
{
	struct search search = {policy, identity, NULL, rights, explanation, NO_RULE};
	const struct map *map = map_find(policy, target, strlen(target));
	struct policy_caller *caller;
	int status;

	memset(explanation, 0, sizeof(*explanation));
	status = policy_ask(policy, identity, rights, target, &explanation->decision);
	if (status)
		return status;
	if (rights & POLICY_ADDRESS_RIGHTS) {
		strncpy(explanation->target, target, sizeof(explanation->target) - 1);
		return 0;
	}
	if (policy_map(policy, target, strlen(target), explanation->target) < 0)
		return -EINVAL;
	if (map) {
		explanation->map.file = map->place.source->path;
		explanation->map.line = map->place.line;
	}
	if (explanation->decision.reason != POLICY_NO_RULE &&
		explanation->decision.reason != POLICY_NO_SUBJECT)
		return 0;
	status = policy_caller_new(policy, identity, &caller);
	if (status)
		return status;
	search.caller = caller;
	status = search_path(&search);
	policy_caller_free(caller);
	return status;
}
