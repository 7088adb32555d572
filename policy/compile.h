/* SPDX-License-Identifier: MIT */
/*
 * compile.h: what the parts of the compiler share. Each takes one statement apart and adds to the
 * policy.
 *
 * All of them return 0, -EINVAL where something was reported (the next statement is looked at all
 * the same), or -ENOMEM.
 */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "builder.h"
#include "compiled.h"
#include "expand.h"
#include "report.h"
#include "syntax.h"

#define NO_SUBJECT UINT32_MAX

struct compiler {
	struct policy *policy;
	const struct policy_environment *environment;
	struct policy_diagnostics *diagnostics;
	struct defines defines;
	struct builder builder;
	struct table subject_names, exe_names;
	/* Kept from one rule to the next for their memory. */
	struct atoms atoms;
	struct pattern pattern;
	uint32_t subject;     /* whose lines are being read, or NO_SUBJECT */
	bool identity_failed; /* an identity line of that subject, which was reported */
};

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

/* The place of one word. */
struct place compile_place(const struct statement *statement, uint32_t word);
/* Reports an error about one word and returns -EINVAL. */
#define compile_error(compiler, statement, word, hint, ...)                        \
	({                                                                         \
		struct place place_ = compile_place(statement, word);              \
		report_error((compiler)->diagnostics, &place_, hint, __VA_ARGS__); \
		-EINVAL;                                                           \
	})
/* A word without wildcards, in the policy's arena. */
int compile_literal(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *what, const char **text);
/* The same, and it must be a canonical absolute path. */
int compile_literal_path(struct compiler *compiler, const struct statement *statement,
	uint32_t word, const char *what, const char **text);
/* Reads a decimal number up to `most`; false where it is none. */
bool compile_number(const char *text, size_t length, uint64_t most, uint64_t *number);

/* Which user or group: a number or a name of the data base. 0, -EINVAL (reported), -ENOMEM. */
int compile_user(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, uid_t *uid);
int compile_group(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, gid_t *gid);

#endif
