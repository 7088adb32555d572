/* SPDX-License-Identifier: MIT */
/*
 * lexer.c: see lexer.h. Words stay as they are written: the formatter needs them so, and a pattern
 * keeps the column of each of its bytes. What a quote or a backslash does is said in word.h; here
 * they only decide where a word ends.
 */
#include "lexer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536u

void lexer_init(struct lexer *lexer, const struct source *source, struct arena *arena,
	struct policy_diagnostics *diagnostics)
{
	memset(lexer, 0, sizeof(*lexer));
	lexer->source = source;
	lexer->arena = arena;
	lexer->diagnostics = diagnostics;
}

void lexer_done(struct lexer *lexer)
{
	free(lexer->words);
	lexer->words = NULL;
}

struct place word_place(const struct source *source, uint32_t line, const struct word *word)
{
	return (struct place){source, line, word->column, word->length};
}

bool word_is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

/* Bytes that have no business in a text. Returns false where the line cannot be used at all. */
static bool check_bytes(struct lexer *lexer, const char *text, size_t *length)
{
	struct place place = {lexer->source, lexer->line, 1, 1};
	bool usable = true;

	if (*length > LINE_MAX_BYTES) {
		place.column = LINE_MAX_BYTES + 1;
		report_error(lexer->diagnostics, &place, "spread it over several rules",
			"the line has %zu bytes, more than %u", *length, LINE_MAX_BYTES);
		return false;
	}
	if (*length && text[*length - 1] == '\r') {
		place.column = (unsigned int)*length;
		if (!lexer->carriage_return)
			report_error(lexer->diagnostics, &place,
				"convert the file to UNIX line ends: sed -i 's/\\r$//' FILE",
				"the line ends in a carriage return");
		lexer->carriage_return = true;
		(*length)--;
	}
	for (size_t i = 0; i < *length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if ((byte >= 0x20 || byte == '\t') && byte != 0x7f)
			continue;
		place.column = (unsigned int)i + 1;
		usable = false;
		if (byte == 0) {
			if (!lexer->nul)
				report_error(lexer->diagnostics, &place, "is this a text file?",
					"a NUL byte");
			lexer->nul = true;
			break;
		}
		report_error(lexer->diagnostics, &place, "in a pattern, write it as \\xHH",
			"a control character (0x%02x)", byte);
	}
	return usable;
}

/* Where the word that begins at `at` ends; -EINVAL is reported. */
static int word_end(struct lexer *lexer, const char *text, size_t length, size_t at, size_t *end)
{
	size_t quote = 0; /* column of the open one */

	while (at < length && (quote || (text[at] != ' ' && text[at] != '\t'))) {
		if (text[at] == '"') {
			quote = quote ? 0 : at + 1;
		} else if (text[at] == '\\') {
			if (++at == length) {
				struct place place = {
					lexer->source, lexer->line, (unsigned int)at, 1};

				report_error(lexer->diagnostics, &place,
					"a rule stands on one line; for a backslash itself write two",
					"nothing follows the backslash");
				return -EINVAL;
			}
		}
		at++;
	}
	if (quote) {
		struct place place = {lexer->source, lexer->line, (unsigned int)quote,
			(unsigned int)(at - quote + 1)};

		report_error(lexer->diagnostics, &place,
			"close it on the same line, or write \\\" for the character itself",
			"the quote is not closed");
		return -EINVAL;
	}
	*end = at;
	return 0;
}

int lexer_next(struct lexer *lexer, struct line *line)
{
	const char *text;
	size_t length, at = 0, count = 0, end;
	bool usable;

	if (lexer->line >= lexer->source->line_count)
		return 0;
	lexer->line++;
	memset(line, 0, sizeof(*line));
	line->number = lexer->line;
	length = source_line(lexer->source, lexer->line, &text);
	if (lexer->line == 1 && length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		struct place place = {lexer->source, 1, 1, 3};

		report_error(lexer->diagnostics, &place,
			"save the file as UTF-8 without a byte order mark",
			"the file begins with a byte order mark");
		at = 3;
	}
	usable = check_bytes(lexer, text, &length);
	if (!usable)
		return -EINVAL;
	for (;;) {
		while (at < length && (text[at] == ' ' || text[at] == '\t'))
			at++;
		if (at == length)
			break;
		if (text[at] == '#') {
			line->comment =
				(struct word){text + at, (uint32_t)(length - at), (uint32_t)at + 1};
			break;
		}
		if (word_end(lexer, text, length, at, &end))
			return -EINVAL;
		if (!array_reserve(
			    &lexer->words, &lexer->capacity, count + 1, sizeof(*lexer->words)))
			return -ENOMEM;
		lexer->words[count++] =
			(struct word){text + at, (uint32_t)(end - at), (uint32_t)at + 1};
		at = end;
	}
	if (count) {
		line->words = arena_alloc(lexer->arena, count * sizeof(*line->words));
		if (!line->words)
			return -ENOMEM;
		memcpy(line->words, lexer->words, count * sizeof(*line->words));
		line->count = (uint32_t)count;
	}
	return 1;
}
