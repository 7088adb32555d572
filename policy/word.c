/* SPDX-License-Identifier: MIT */
/*
 * word.c: see word.h. It must not know what a path is.
 */
#include "word.h"

#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct reader {
	const struct source *source;
	uint32_t line;
	const struct word *word;
	struct policy_diagnostics *diagnostics;
	size_t at;
};

static struct place reader_place(const struct reader *reader, size_t at, size_t length)
{
	return (struct place){reader->source, reader->line, reader->word->column + (unsigned int)at,
		(unsigned int)length};
}

#define fail(reader, at, length, hint, ...)                                      \
	({                                                                       \
		struct place place_ = reader_place(reader, at, length);          \
		report_error((reader)->diagnostics, &place_, hint, __VA_ARGS__); \
		-EINVAL;                                                         \
	})

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that a backslash stands for; the reader is on the backslash and is left behind it all.
 */
static int read_escape(struct reader *reader)
{
	const struct word *word = reader->word;
	size_t begin = reader->at++;
	unsigned char byte = (unsigned char)word->text[reader->at++]; /* the lexer saw to it */
	int high, low;

	if (byte == 'n')
		return '\n';
	if (byte == 't')
		return '\t';
	if (byte == 'x') {
		high = reader->at < word->length ? hex_digit(word->text[reader->at]) : -1;
		low = reader->at + 1 < word->length ? hex_digit(word->text[reader->at + 1]) : -1;
		if (high < 0 || low < 0)
			return fail(reader, begin, 2, "for example \\x0a",
				"\\x needs two hexadecimal digits");
		reader->at += 2;
		if (high == 0 && low == 0)
			return fail(reader, begin, 4, NULL, "no name can hold a NUL byte");
		return high * 16 + low;
	}
	if (isalnum(byte) && byte < 0x80)
		return fail(reader, begin, 2,
			"the escapes are \\n, \\t, \\xHH and \\ before punctuation",
			"unknown escape '\\%c'", byte);
	return byte;
}

/* The next byte, or 256 + a character that is special unless it is escaped. */
static int read_byte(struct reader *reader)
{
	for (;;) {
		char c;

		if (reader->at >= reader->word->length)
			return -ENODATA;
		c = reader->word->text[reader->at];
		if (c == '\\')
			return read_escape(reader);
		reader->at++;
		if (c != '"')
			return strchr("*?[]{},%$-!^", c) ? 256 + (unsigned char)c
							 : (unsigned char)c;
	}
}

static int atom_add(struct atoms *atoms, const struct reader *reader, size_t at, unsigned int code)
{
	if (!array_reserve(
		    &atoms->atoms, &atoms->capacity, atoms->count + 1, sizeof(*atoms->atoms)))
		return -ENOMEM;
	atoms->atoms[atoms->count++] = (struct atom){
		.column = reader->word->column + (uint32_t)at, .code = (uint16_t)code};
	return 0;
}

static int read_class(struct reader *reader, struct atoms *atoms, size_t begin)
{
	unsigned int code = ATOM_CLASS;
	bool first = true;
	int byte, status;
	size_t opening = atoms->count;

	status = atom_add(atoms, reader, begin, code);
	if (status)
		return status;
	for (;;) {
		size_t at = reader->at;

		byte = read_byte(reader);
		if (byte == -ENODATA)
			return fail(reader, begin, reader->at - begin,
				"close it with ']', or write \\[ for the character itself",
				"the bracket is not closed");
		if (byte < 0)
			return byte;
		if (byte == '/')
			return fail(reader, at, 1, "a wildcard never matches '/'",
				"'/' within brackets");
		if (first && atoms->atoms[opening].code == ATOM_CLASS &&
			(byte == 256 + '!' || byte == 256 + '^')) {
			atoms->atoms[opening].code = ATOM_CLASS_NOT;
			continue;
		}
		if (byte == 256 + ']' && !first)
			return atom_add(atoms, reader, at, ATOM_CLASS_END);
		if (byte == 256 + '[' && reader->at < reader->word->length &&
			strchr(":.=", reader->word->text[reader->at]))
			return fail(reader, at, 2, "write out the range, as in [a-z]",
				"named character classes are not known here");
		if (byte == 256 + '%' || byte == 256 + '$')
			return fail(reader, reader->at - 1, 1,
				"for the character itself put a backslash before it",
				"'%c' has no meaning within brackets", byte & 255);
		/* A '-' at either end is itself. */
		if (byte == 256 + '-' && !first && reader->at < reader->word->length &&
			reader->word->text[reader->at] != ']')
			code = ATOM_RANGE;
		else
			code = (unsigned int)byte & 255;
		status = atom_add(atoms, reader, at, code);
		if (status)
			return status;
		first = false;
	}
}

static int read_define(
	struct reader *reader, const struct defines *defines, struct atoms *atoms, size_t begin)
{
	const char *name = reader->word->text + reader->at;
	size_t length = 0;
	char hint[SUGGEST_BUFFER];
	struct suggest suggest;
	int define, status;

	while (reader->at + length < reader->word->length &&
		(isalnum((unsigned char)name[length]) || name[length] == '_'))
		length++;
	if (length == 0)
		return fail(reader, begin, 1, "for the character itself write \\$",
			"a '$' without the name of a define");
	define = define_find(defines, name, length);
	if (define < 0) {
		suggest_init(&suggest, name, length);
		define_suggest(defines, &suggest);
		return fail(reader, begin, length + 1,
			length == 4 && memcmp(name, "HOME", 4) == 0   ? "write %h"
			: length == 4 && memcmp(name, "USER", 4) == 0 ? "write %u"
			: suggest.best				      ? suggest_hint(&suggest, hint)
				       : "a define stands before its first use",
			"unknown variable '$%.*s'", (int)length, name);
	}
	reader->at += length;
	status = atom_add(atoms, reader, begin, ATOM_DEFINE);
	if (status)
		return status;
	atoms->atoms[atoms->count - 1].define = (uint16_t)define;
	return 0;
}

static int read_variable(struct reader *reader, struct atoms *atoms, size_t begin)
{
	char name = reader->at < reader->word->length ? reader->word->text[reader->at] : '\0';

	reader->at++;
	switch (name) {
	case 'u':
		return atom_add(atoms, reader, begin, ATOM_USER);
	case 'U':
		return atom_add(atoms, reader, begin, ATOM_UID);
	case 'h':
		return atom_add(atoms, reader, begin, ATOM_HOME);
	case '%':
		return atom_add(atoms, reader, begin, '%');
	case '\0':
		return fail(reader, begin, 1, "for the character itself write %%",
			"a '%%' without the name of a variable");
	default:
		return fail(reader, begin, 2,
			"there are %u (user name), %U (uid), %h (home) and %% (the character)",
			"unknown variable '%%%c'", name);
	}
}

int word_atoms(const struct source *source, uint32_t line, const struct word *word,
	const struct defines *defines, struct atoms *atoms, struct policy_diagnostics *diagnostics)
{
	struct reader reader = {source, line, word, diagnostics, 0};
	size_t brace = SIZE_MAX;
	/* An IPv6 address stands in brackets. */
	bool internet = word->length > 4 &&
			(memcmp(word->text, "tcp:", 4) == 0 || memcmp(word->text, "udp:", 4) == 0);
	int byte, status = 0;

	while (status == 0) {
		size_t at = reader.at;

		byte = read_byte(&reader);
		if (byte == -ENODATA)
			break;
		if (byte < 0)
			return byte;
		/* What was skipped to get here was a quote. */
		at = byte >= 256 ? reader.at - 1 : at;
		if (internet && (byte == 256 + '[' || byte == 256 + ']'))
			byte -= 256;
		switch (byte) {
		case 256 + '*':
			status = atom_add(atoms, &reader, at, ATOM_STAR);
			break;
		case 256 + '?':
			status = atom_add(atoms, &reader, at, ATOM_QUESTION);
			break;
		case 256 + '[':
			status = read_class(&reader, atoms, at);
			break;
		case 256 + ']':
			return fail(&reader, at, 1, "for the character itself write \\]",
				"a ']' without a '['");
		case 256 + '{':
			if (brace != SIZE_MAX)
				return fail(&reader, at, 1, "write the cases out",
					"braces do not nest");
			brace = at;
			status = atom_add(atoms, &reader, at, ATOM_BRACE);
			break;
		case 256 + '}':
			if (brace == SIZE_MAX)
				return fail(&reader, at, 1, "for the character itself write \\}",
					"a '}' without a '{'");
			brace = SIZE_MAX;
			status = atom_add(atoms, &reader, at, ATOM_BRACE_END);
			break;
		case 256 + ',':
			status = atom_add(atoms, &reader, at,
				brace != SIZE_MAX ? (unsigned int)ATOM_COMMA : ',');
			break;
		case 256 + '%':
			status = read_variable(&reader, atoms, at);
			break;
		case 256 + '$':
			status = read_define(&reader, defines, atoms, at);
			break;
		default:
			status = atom_add(atoms, &reader, at, (unsigned int)byte & 255);
			break;
		}
	}
	if (status == 0 && brace != SIZE_MAX)
		return fail(&reader, brace, word->length - brace,
			"close it with '}', or write \\{ for the character itself",
			"the brace is not closed");
	return status;
}

int word_literal(const struct source *source, uint32_t line, const struct word *word,
	const char *what, struct arena *arena, struct policy_diagnostics *diagnostics, char **bytes,
	size_t *length)
{
	struct reader reader = {source, line, word, diagnostics, 0};
	char *copy = arena_alloc(arena, word->length + 1);
	size_t count = 0;
	int byte;

	if (!copy)
		return -ENOMEM;
	while ((byte = read_byte(&reader)) != -ENODATA) {
		if (byte < 0)
			return byte;
		if (byte >= 256 && strchr("*?[{$%", byte & 255))
			return fail(&reader, reader.at - 1, 1,
				"for the character itself put a backslash before it",
				"'%c' has no meaning in %s", byte & 255, what);
		copy[count++] = (char)(byte & 255);
	}
	*bytes = copy;
	*length = count;
	return 0;
}

size_t word_glob_escape(const char *name, size_t length, char *out)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		if (strchr("*?[]\\!^-", name[i]))
			out[used++] = '\\';
		out[used++] = name[i];
	}
	return used;
}

int word_glob(const struct source *source, uint32_t line, const struct word *word,
	struct arena *arena, struct policy_diagnostics *diagnostics, char **text, bool *wild)
{
	struct reader reader = {source, line, word, diagnostics, 0};
	char *copy = arena_alloc(arena, 2 * (size_t)word->length + 1), *plain;
	size_t count = 0, plain_count = 0;
	int byte;

	*wild = false;
	plain = arena_alloc(arena, word->length + 1);
	if (!copy || !plain)
		return -ENOMEM;
	while ((byte = read_byte(&reader)) != -ENODATA) {
		char c = (char)(byte & 255);

		if (byte < 0)
			return byte;
		if (byte >= 256 && strchr("{}$%", c))
			return fail(&reader, reader.at - 1, 1,
				"for the character itself put a backslash before it",
				"'%c' has no meaning in the name of a file", c);
		*wild |= byte >= 256 && strchr("*?[", c);
		if (byte >= 256)
			copy[count++] = c;
		else
			count += word_glob_escape(&c, 1, copy + count);
		plain[plain_count++] = c;
	}
	*text = *wild ? copy : plain;
	return 0;
}
