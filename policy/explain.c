/* SPDX-License-Identifier: MIT */
/*
 * explain.c: why a decision is what it is. The decision itself is policy_ask's, so that what is
 * explained and what is decided cannot differ; what is added here is only what else stands near.
 */
#include "address-match.h"
#include "beneath.h"
#include "compiled.h"
#include "judge.h"
#include "query.h"

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

/* The right, the subject or one part of the address may be missed: not two of them. */
static void search_internet(struct search *search, const struct policy_address *address)
{
	static const enum policy_near nears[] = {[ADDRESS_MISSES_PORT] = POLICY_NEAR_PORT,
		[ADDRESS_MISSES_IP] = POLICY_NEAR_ADDRESS,
		[ADDRESS_MISSES_PROTOCOL] = POLICY_NEAR_PROTOCOL};
	const struct policy *policy = search->policy;

	for (size_t i = 0; i < policy->internet_count; i++) {
		const struct internet_rule *internet = &policy->internets[i];
		const struct rule *rule = &policy->rules[internet->rule];
		unsigned int mismatch = subject_mismatch(
			policy, &policy->subjects[internet->subject], search->identity);
		unsigned int misses = address_misses(internet, rule->deny, search->rights, address);
		bool right = rule->rights & search->rights;

		if (rule->deny || (misses & (misses - 1)) || (mismatch & (mismatch - 1)) ||
			!right + !!mismatch + !!misses != 1)
			continue;
		found(search,
			!right	   ? POLICY_NEAR_RIGHT
			: mismatch ? POLICY_NEAR_SUBJECT
				   : nears[misses],
			internet->rule, mismatch);
		if (misses == ADDRESS_MISSES_PORT && search->best == internet->rule) {
			search->explanation->port_low = internet->port_low;
			search->explanation->port_high = internet->port_high;
		}
	}
}

/* The caller's allows of the same name, among sockets of the other kind. */
static void search_other_sockets(struct search *search, const struct tree_scratch *scratch)
{
	const struct policy *policy = search->policy;

	for (size_t i = 0; i < scratch->active_count; i++) {
		const struct tree_node *node = &policy->tree.nodes[scratch->active[i]];

		for (uint32_t j = 0; j < node->entry_count; j++) {
			const struct tree_entry *entry = &policy->tree.entries[node->entry + j];
			const struct rule *rule = &policy->rules[entry->rule];

			if (!rule->deny && rule->rights & search->rights &&
				caller_has(search->caller, entry->subject))
				found(search, POLICY_NEAR_PROTOCOL, entry->rule, 0);
		}
	}
}

static int search_sockets(struct search *search, const struct policy_address *address)
{
	const struct tree *tree = &search->policy->tree;
	struct policy_scratch *scratch;
	int status = policy_scratch_new(search->policy, &scratch);

	for (unsigned int other = 0; status == 0 && other < 2; other++) {
		bool datagram = (address->protocol == POLICY_UNIX_DATAGRAM) != (other != 0);
		enum tree_root root =
			(address->abstract ? TREE_ABSTRACT : TREE_UNIX) + (datagram ? 1 : 0);

		if ((address->abstract ? tree_walk_name : tree_walk)(tree, root, &scratch->tree,
			    &search->caller->values, address->name, address->length, pass_by, NULL))
			break;
		if (other)
			search_other_sockets(search, &scratch->tree);
		for (size_t i = 0; !other && i < scratch->tree.active_count; i++)
			search_node(search, &tree->nodes[scratch->tree.active[i]]);
	}
	policy_scratch_free(scratch);
	return status;
}

static int search_target(struct search *search)
{
	const char *target = search->explanation->target;
	struct policy_address address;

	if (!(search->rights & POLICY_ADDRESS_RIGHTS))
		return search_path(search);
	if (policy_address_parse(target, strlen(target), &address))
		return -EINVAL;
	if (address.protocol != POLICY_TCP && address.protocol != POLICY_UDP)
		return search_sockets(search, &address);
	search_internet(search, &address);
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
	if (rights & POLICY_ADDRESS_RIGHTS)
		strncpy(explanation->target, target, sizeof(explanation->target) - 1);
	else if (policy_map(policy, target, strlen(target), explanation->target) < 0)
		return -EINVAL;
	if (map && !(rights & POLICY_ADDRESS_RIGHTS)) {
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
	status = search_target(&search);
	policy_caller_free(caller);
	return status;
}
