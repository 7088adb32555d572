/* SPDX-License-Identifier: MIT */
/*
 * lexer.h: a policy's text, cut into lines of words and a comment.
 */
#ifndef POLICY_LEXER_H
#define POLICY_LEXER_H

#include "memory.h"
#include "report.h"
#include "source.h"

#include <stdbool.h>
#include <stdint.h>

/* As written, quotes and backslashes and all. The bytes belong to the source. */
struct word {
	const char *text;
	uint32_t length;
	uint32_t column; /* from 1 */
};

struct line {
	uint32_t number;
	uint32_t count;
	struct word *words;  /* in the arena */
	struct word comment; /* from its '#'; of no length where there is none */
};

struct lexer {
	const struct source *source;
	struct policy_diagnostics *diagnostics;
	struct arena *arena;
	uint32_t line;		   /* the last that was read */
	bool carriage_return, nul; /* reported once for each file */
	struct word *words;	   /* of the line being read */
	size_t capacity;
};

void lexer_init(struct lexer *lexer, const struct source *source, struct arena *arena,
	struct policy_diagnostics *diagnostics);
void lexer_done(struct lexer *lexer);

/*
 * Reads the next line. Returns 1; 0 at the end of the text; -EINVAL where the line is no sequence
 * of words (reported; reading can go on); -ENOMEM.
 */
int lexer_next(struct lexer *lexer, struct line *line);

struct place word_place(const struct source *source, uint32_t line, const struct word *word);
/* Whether the word is written exactly like that. */
bool word_is(const struct word *word, const char *text);

#endif
