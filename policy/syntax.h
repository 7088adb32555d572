/* SPDX-License-Identifier: MIT */
/*
 * syntax.h: a policy as a list of statements, each where it may stand.
 */
#ifndef POLICY_SYNTAX_H
#define POLICY_SYNTAX_H

#include "lexer.h"

#include <stdint.h>

enum keyword {
	KEYWORD_INCLUDE,
	KEYWORD_MAP,
	KEYWORD_DEFINE,
	KEYWORD_SUBJECT,
	KEYWORD_EXPECT,
	/* The rest stands within a subject. */
	KEYWORD_USER,
	KEYWORD_GROUP,
	KEYWORD_EXE,
	KEYWORD_UNIT,
	KEYWORD_LABEL,
	KEYWORD_VIA,
	KEYWORD_DELEGATE,
	KEYWORD_ALLOW,
	KEYWORD_DENY,
	KEYWORD_LIMIT,
	KEYWORD_LOG,
	KEYWORD_END, /* } */
	KEYWORD_COUNT,
};

struct statement {
	const struct source *source;
	uint32_t line;
	enum keyword keyword;
	uint32_t count; /* words, the keyword included; a subject's `{` is left out */
	struct word *words;
};

/* The keyword, or KEYWORD_COUNT. */
enum keyword keyword_find(const struct word *word);
const char *keyword_name(enum keyword keyword);

struct syntax {
	struct lexer lexer;
	struct statement subject; /* that is open; count 0: none */
	bool brace_missing;	  /* of that subject, which was reported */
	bool skipping;		  /* up to a `}`: what opened it was reported */
};

void syntax_init(struct syntax *syntax, const struct source *source, struct arena *arena,
	struct policy_diagnostics *diagnostics);
void syntax_done(struct syntax *syntax);

/*
 * Reads the next statement. Returns 1, 0 at the end, or -ENOMEM. Lines that are no statement are
 * reported and passed over.
 */
int syntax_next(struct syntax *syntax, struct statement *statement);

#endif
