/* SPDX-License-Identifier: MIT */
/*
 * compiled.c: a policy that is loaded: what it says of itself, and its end.
 */
#include "compiled.h"

#include <stdlib.h>

static void subject_free(struct subject *subject)
{
	free(subject->users.list);
	free(subject->groups.list);
	free(subject->exes.list);
	free(subject->units.list);
	free(subject->labels.list);
	free(subject->vias.list);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->source_count; i++)
		source_free(policy->sources[i]);
	for (size_t i = 0; i < policy->subject_count; i++)
		subject_free(&policy->subjects[i]);
	free(policy->sources);
	free(policy->subjects);
	free(policy->rules);
	free(policy->directories);
	free(policy->directory_lengths);
	free(policy->exes.list);
	free(policy->users);
	free(policy->maps);
	free(policy->variable_denies);
	free(policy->internets);
	free(policy->trees);
	free(policy->sockets);
	free(policy->expectations);
	free(policy->prefixes);
	free(policy->allow_nodes.list);
	free(policy->deny_nodes.list);
	tree_free(&policy->tree);
	arena_free(&policy->arena);
	free(policy);
}

void policy_summarize(const struct policy *policy, struct policy_summary *summary)
{
	*summary = (struct policy_summary){
		policy->source_count, policy->subject_count, policy->rule_count, policy->rights};
}

const struct policy_directory *policy_directories(const struct policy *policy, size_t *count)
{
	*count = policy->directory_count;
	return policy->directories;
}

const char *const *policy_exes(const struct policy *policy, size_t *count)
{
	*count = policy->exes.count;
	return policy->exes.list;
}

bool policy_wants_unit(const struct policy *policy)
{
	return policy->wants_unit;
}

const struct policy_tree *policy_trees(const struct policy *policy, size_t *count)
{
	*count = policy->tree_count;
	return policy->trees;
}

const struct policy_socket *policy_sockets(const struct policy *policy, size_t *count)
{
	*count = policy->socket_count;
	return policy->sockets;
}
