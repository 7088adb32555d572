/* SPDX-License-Identifier: MIT */
/*
 * prefix.h: the literal beginnings of the patterns of rules (struct policy_prefix), which are kept for whoever checks
 * a policy.
 */
#ifndef POLICY_PREFIX_H
#define POLICY_PREFIX_H

#include "compiler.h"

/* Keeps that of the compiler's pattern, which is of the word at `place`, where that is wanted. 0 or -ENOMEM. */
int prefix_keep(
	struct compiler *compiler, const struct rule *rule, const struct place *place, bool socket);

#endif
