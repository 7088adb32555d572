/* SPDX-License-Identifier: MIT */
/*
 * compiler.c: what taking any statement apart needs: the place of a word, what it says, a number.
 */
#include "compiler.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct place compile_place(const struct statement *statement, uint32_t word)
{
	return word_place(statement->source, statement->line, &statement->words[word]);
}

int compile_literal(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *what, const char **text)
{
	char *bytes;
	size_t length;
	int status = word_literal(statement->source, statement->line, &statement->words[word], what,
		&compiler->policy->arena, compiler->diagnostics, &bytes, &length);

	if (status == 0)
		*text = bytes;
	return status;
}

int compile_literal_path(struct compiler *compiler, const struct statement *statement,
	uint32_t word, const char *what, const char **text)
{
	int status = compile_literal(compiler, statement, word, what, text);

	if (status)
		return status;
	if ((*text)[0] != '/')
		return compile_error(compiler, statement, word, "a path begins with '/'",
			"%s must be an absolute path", what);
	if (policy_path_check(*text, strlen(*text)))
		return compile_error(compiler, statement, word,
			"write it without '//', '.', '..' and without a slash at the end",
			"%s must be a canonical path", what);
	return 0;
}

bool compile_number(const char *text, size_t length, uint64_t most, uint64_t *number)
{
	uint64_t value = 0;

	if (length == 0 || length > 19)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*number = value;
	return value <= most;
}
