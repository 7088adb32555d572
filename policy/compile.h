/* SPDX-License-Identifier: MIT */
/*
 * compile.h: the parts of the compiler. Each takes one kind of statement apart and adds to the policy.
 *
 * All of them return 0, -EINVAL where something was reported (the next statement is looked at all
 * the same), or -ENOMEM.
 */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "compiler.h"

/* After the last statement: the parts of the policy that need all of it. */
int compile_finish(struct compiler *compiler);
/* Frees what only the compiler needed. */
void compile_done(struct compiler *compiler);

int compile_subject(struct compiler *compiler, const struct statement *statement);
int compile_identity(struct compiler *compiler, const struct statement *statement);
/* Where there is one open; otherwise nothing. */
int compile_subject_end(struct compiler *compiler);
int compile_rule(struct compiler *compiler, const struct statement *statement);
/* `word` on begin the options of an allow; fills in the rule. */
int compile_modifiers(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule);
int compile_limit(struct compiler *compiler, const struct statement *statement);
int compile_log(struct compiler *compiler, const struct statement *statement);
int compile_expect(struct compiler *compiler, const struct statement *statement);
int compile_map(struct compiler *compiler, const struct statement *statement);
int compile_define(struct compiler *compiler, const struct statement *statement);

/* Which user or group: a number or a name of the data base. 0, -EINVAL (reported), -ENOMEM. */
int compile_user(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, uid_t *uid);
int compile_group(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, gid_t *gid);

#endif
