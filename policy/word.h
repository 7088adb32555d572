/* SPDX-License-Identifier: MIT */
/*
 * word.h: what one word of a policy means.
 *
 * There is one rule of quoting, everywhere: a backslash takes its meaning from the punctuation that
 * follows (\* is an asterisk) and writes any byte as \xHH, a newline as \n, a tab as \t; double
 * quotes protect blanks and '#', and nothing else: a wildcard within them is one.
 */
#ifndef POLICY_WORD_H
#define POLICY_WORD_H

#include "lexer.h"
#include "suggest.h"

/*
 * A pattern is a string of atoms: bytes (0 to 255) and, above those, what is special. Each knows
 * its column, so that whatever is found wrong later can be pointed at.
 */
enum {
	ATOM_STAR = 256, /* * */
	ATOM_QUESTION,	 /* ? */
	ATOM_CLASS,	 /* [  then bytes, ATOM_RANGE between two, up to ATOM_CLASS_END */
	ATOM_CLASS_NOT,	 /* [! */
	ATOM_RANGE,	 /* - */
	ATOM_CLASS_END,	 /* ] */
	ATOM_BRACE,	 /* { */
	ATOM_COMMA,	 /* , within braces */
	ATOM_BRACE_END,	 /* } */
	ATOM_USER,	 /* %u */
	ATOM_UID,	 /* %U */
	ATOM_HOME,	 /* %h */
	ATOM_DEFINE,	 /* $name: `define` says which */
};

struct atom {
	uint32_t column;
	uint16_t code;
	uint16_t define;
};

struct atoms {
	struct atom *atoms; /* malloc'ed */
	size_t count, capacity;
};

/* Looks a `define` up: its number, or -1. */
struct defines;
int define_find(const struct defines *defines, const char *name, size_t length);
void define_suggest(const struct defines *defines, struct suggest *suggest);

/* Reads a word as a pattern, adding to `atoms`. 0, -EINVAL (reported) or -ENOMEM. */
int word_atoms(const struct source *source, uint32_t line, const struct word *word,
	const struct defines *defines, struct atoms *atoms, struct policy_diagnostics *diagnostics);

/*
 * Reads a word in which wildcards and variables have no meaning, and must be escaped not to be
 * mistaken for it; `what` says in messages what the word is. The copy is in `arena`. Returns
 * likewise.
 */
int word_literal(const struct source *source, uint32_t line, const struct word *word,
	const char *what, struct arena *arena, struct policy_diagnostics *diagnostics, char **bytes,
	size_t *length);

/*
 * Reads the name of a file in which *, ? and [...] are wildcards, as a pattern of glob(7): what is
 * escaped in the policy is escaped in the pattern. `wild` says whether there is any; where there is
 * none, the text is the name itself. Returns likewise.
 */
int word_glob(const struct source *source, uint32_t line, const struct word *word,
	struct arena *arena, struct policy_diagnostics *diagnostics, char **text, bool *wild);
/* Copies a name as a pattern of glob(7) that matches it alone; `out` has twice the bytes. */
size_t word_glob_escape(const char *name, size_t length, char *out);

#endif
