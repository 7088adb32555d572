/* SPDX-License-Identifier: MIT */
/*
 * rule.h: what a rule names that an `expect` names too.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "compiler.h"

/*
 * Reads "read,write" (or "all", where it is for a deny). 0, or -EINVAL (reported).
 */
int compile_rights(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool deny, uint32_t *rights);

#endif
