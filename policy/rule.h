/* SPDX-License-Identifier: MIT */
/*
 * rule.h: the parts of a rule that others read too.
 */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "compile.h"

/* What a created file may be at most where no `mode` says more or less: 0666 minus 022. */
#define MODE_DEFAULT 0644u

/* `deny all`: every right, on paths and addresses. */
#define RIGHTS_ALL UINT32_MAX

/*
 * Reads "read,write" (or "all", where it is for a deny). 0, or -EINVAL (reported).
 */
int compile_rights(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool deny, uint32_t *rights);

/* Who gets the patterns of a rule while its words are expanded. */
struct rule_target {
	struct compiler *compiler;
	const struct statement *statement;
	struct place place; /* of the word that is being expanded */
	struct rule *rule;
	uint32_t number;
};

/*
 * Adds a pattern that begins with a scheme. Returns 0, 1 where it is no address (nothing is done),
 * -EINVAL or -ENOMEM.
 */
int rule_add_address(struct rule_target *target, const struct atom *atoms, size_t count);

/* Keeps the literal beginning of the compiler's pattern, where that is wanted. 0 or -ENOMEM. */
int rule_keep_prefix(struct rule_target *target, bool socket);

#endif
