/* SPDX-License-Identifier: MIT */
/*
 * served.c: what the language can say and this version of fdbrokerd does not do yet. The language is whole,
 * so that a policy need not be written again; but nobody is to believe in a line that does nothing.
 */
#include "compiled.h"
#include "policy.h"

#include <stdio.h>
#include <string.h>

/* Removes `limit connections`, which is served, from a subject's limits. True if any is left. */
static bool other_limits(const struct policy_limits *limits)
{
	return limits->rate || limits->burst || limits->opens || limits->descriptors;
}

static void warn_of_limits(const struct policy *policy, const struct subject *subject,
	struct policy_diagnostics *diagnostics)
{
	if (other_limits(&subject->limits) || other_limits(&subject->totals) ||
		subject->totals.connections)
		policy_warn(policy, diagnostics, subject->place.source->path, subject->place.line,
			"of limits, only 'limit connections' (of one uid) is enforced",
			"a limit of this subject is not enforced by this version");
}

static void warn_of_rights(const struct policy *policy, const struct policy_rule_info *rule,
	struct policy_diagnostics *diagnostics)
{
	char names[POLICY_RIGHTS_BUFFER], message[POLICY_RIGHTS_BUFFER + 64];
	uint32_t rights = rule->rights & ~(uint32_t)POLICY_SERVED_RIGHTS;

	if (rule->deny || !rights)
		return;
	policy_rights_print(rights, names, sizeof(names));
	snprintf(message, sizeof(message), "%s: not served by this version: it allows nothing yet",
		names);
	policy_warn(policy, diagnostics, rule->place.file, rule->place.line, NULL, message);
}

/* Braces make several trees of one rule: it is told of once. */
static void warn_of_trees(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	const struct policy_tree *told = NULL;

	for (size_t i = 0; i < policy->tree_count; i++) {
		const struct policy_tree *tree = &policy->trees[i];

		if (!tree->variables ||
			(told && told->line == tree->line && told->file == tree->file))
			continue;
		policy_warn(policy, diagnostics, tree->file, tree->line,
			"name the directories, or allow the rights on what is in them: read %h/**",
			"a tree with a variable: not served by this version: it allows nothing yet");
		told = tree;
	}
}

/* Whether it has %u or %h: those are looked up where the policy is loaded, and nowhere else. */
static bool uses_user(const char *name)
{
	for (; (name = strchr(name, '%')); name += 2)
		if (name[1] == 'u' || name[1] == 'h')
			return true;
	return false;
}

static void warn_of_sockets(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	const struct policy_socket *told = NULL;

	for (size_t i = 0; i < policy->socket_count; i++) {
		const struct policy_socket *socket = &policy->sockets[i];

		if (!socket->variables || !uses_user(socket->name) ||
			(told && told->line == socket->line && told->file == socket->file))
			continue;
		policy_warn(policy, diagnostics, socket->file, socket->line,
			"name it by the caller's uid: %U",
			"a socket with %u or %h: not served by this version: it allows nothing yet");
		told = socket;
	}
}

void policy_unserved(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	struct policy_summary summary;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < policy->subject_count; i++)
		warn_of_limits(policy, &policy->subjects[i], diagnostics);
	for (size_t i = 0; i < summary.rules; i++) {
		struct policy_rule_info rule;
		policy_rule_get(policy, i, &rule);
		warn_of_rights(policy, &rule, diagnostics);
	}
	warn_of_trees(policy, diagnostics);
	warn_of_sockets(policy, diagnostics);
}
