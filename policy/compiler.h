/* SPDX-License-Identifier: MIT */
/*
 * compiler.h: what the parts of the compiler (compile.h) share while a policy is read: what is known so far, and how a
 * word of a statement is taken or refused.
 */
#ifndef POLICY_COMPILER_H
#define POLICY_COMPILER_H

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

#endif
