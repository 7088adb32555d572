/* SPDX-License-Identifier: MIT */
/*
 * served.c: what the language can say and this version of fdbrokerd does not do yet. The language is whole,
 * so that a policy need not be written again; but nobody is to believe in a line that does nothing.
 */
#include "compiled.h"
#include "policy.h"

#include <stdio.h>

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

void policy_unserved(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	struct policy_summary summary;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		struct policy_rule_info rule;
		policy_rule_get(policy, i, &rule);
		warn_of_rights(policy, &rule, diagnostics);
	}
}
