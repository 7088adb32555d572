/* SPDX-License-Identifier: MIT */
/*
 * rule.h: the parts of a rule that others read too.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "compile.h"

/* What a created file may be at most where no `mode` says more or less: 0666 minus 022. */
#define MODE_DEFAULT 0644u

/*
 * Reads "read,write" (or "all", where it is for a deny: every bit is set then). 0, or -EINVAL
 * (reported).
 */
int compile_rights(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool deny, uint32_t *rights);

#endif
