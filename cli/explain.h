/* SPDX-License-Identifier: MIT */
/* explain.h: an explanation as JSON. All of it goes to standard output. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "policy.h"
#include "query.h"

/* The keywords of enum policy_mismatch, in its order. */
extern const char *const explain_kinds[POLICY_KINDS];

/* One object, with a newline. */
void explain_print_json(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const struct policy_explanation *explanation);

/* One object, without. */
void explain_print_rule_json(const struct policy_rule_info *rule);

#endif
