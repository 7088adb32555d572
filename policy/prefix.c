/* SPDX-License-Identifier: MIT */
/*
 * prefix.c: see prefix.h.
 */
#include "prefix.h"

#include "lint.h"

#include <errno.h>

int prefix_keep(
	struct compiler *compiler, const struct rule *rule, const struct place *place, bool socket)
{
	struct policy *policy = compiler->policy;
	const struct pattern *pattern = &compiler->pattern;
	struct policy_prefix prefix = {.socket = socket,
		.deny = rule->deny,
		.rights = rule->written,
		.file = rule->place.file,
		.line = place->line,
		.column = place->column,
		.length = place->length};
	size_t depth = 0;
	char *path;

	if (!compiler->environment->keep_prefixes)
		return 0;
	while (depth < pattern->count && pattern->components[depth].kind == COMPONENT_LITERAL)
		depth++;
	prefix.whole = depth == pattern->count;
	path = pattern_literal(pattern, depth, &policy->arena);
	prefix.path = path;
	if (!path || !array_reserve(&policy->prefixes, &policy->prefix_capacity,
			     policy->prefix_count + 1, sizeof(prefix)))
		return -ENOMEM;
	policy->prefixes[policy->prefix_count++] = prefix;
	return 0;
}

const struct policy_prefix *policy_prefixes(const struct policy *policy, size_t *count)
{
	*count = policy->prefix_count;
	return policy->prefixes;
}
