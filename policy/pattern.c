/* SPDX-License-Identifier: MIT */
/*
 * pattern.c: see pattern.h.
 *
 * A component with a wildcard becomes a string of code: two equal strings are the same wildcard,
 * which is what the tree needs to share them, and matching walks straight through it. It must never
 * follow a value of a variable as if it were a pattern: values are compared, byte by byte, and that
 * is all.
 */
#include "pattern.h"

#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_BYTES = 1, CODE_ANY, CODE_STAR, CODE_SET, CODE_USER, CODE_UID };

#define SET_BYTES 32u

struct parser {
	struct pattern *pattern;
	const struct atom *atoms;
	size_t count;
	const struct place *place;
	struct policy_diagnostics *diagnostics;
};

void pattern_free(struct pattern *pattern)
{
	free(pattern->components);
	free(pattern->bytes);
	memset(pattern, 0, sizeof(*pattern));
}

/* Reports an error about the atoms from `at` on, as far as they stand side by side in the text. */
#define fail(parser, at, until, hint, ...)                                       \
	({                                                                       \
		struct place place_ = atoms_place(parser, at, until);            \
		report_error((parser)->diagnostics, &place_, hint, __VA_ARGS__); \
		-EINVAL;                                                         \
	})

static struct place atoms_place(const struct parser *parser, size_t at, size_t until)
{
	struct place place = *parser->place;

	if (parser->count == 0)
		return place;
	if (at >= parser->count)
		at = parser->count - 1;
	place.column = parser->atoms[at].column;
	place.length = 1;
	for (size_t i = at + 1; i < until && i < parser->count; i++)
		if (parser->atoms[i].column >= place.column)
			place.length = parser->atoms[i].column - place.column + 1;
	return place;
}

static int bytes_add(struct pattern *pattern, const void *bytes, size_t length)
{
	if (!array_reserve(&pattern->bytes, &pattern->room, pattern->used + length, 1))
		return -ENOMEM;
	memcpy(pattern->bytes + pattern->used, bytes, length);
	pattern->used += length;
	return 0;
}

static int byte_add(struct pattern *pattern, unsigned char byte)
{
	return bytes_add(pattern, &byte, 1);
}

static int component_add(struct pattern *pattern, enum component_kind kind, size_t offset)
{
	if (!array_reserve(&pattern->components, &pattern->capacity, pattern->count + 1,
		    sizeof(*pattern->components)))
		return -ENOMEM;
	pattern->components[pattern->count++] =
		(struct component){kind, (uint32_t)offset, (uint32_t)(pattern->used - offset)};
	return 0;
}

/* From the atom behind the opening bracket; *at is left on the closing one. */
static int class_add(struct parser *parser, size_t *at)
{
	unsigned char set[SET_BYTES] = {0};
	bool not = parser->atoms[*at].code == ATOM_CLASS_NOT;
	size_t i = *at + 1;
	int status;

	for (; parser->atoms[i].code != ATOM_CLASS_END; i++) {
		unsigned int low = parser->atoms[i].code, high = low;

		if (parser->atoms[i + 1].code == ATOM_RANGE) {
			/* As in [a-c-e]: a range cannot begin with the end of another. */
			high = parser->atoms[i + 2].code;
			if (low > UCHAR_MAX || high > UCHAR_MAX || low > high)
				return fail(parser, i, i + 3, "write the lower character first",
					"a range that holds nothing");
			i += 2;
		}
		if (low > UCHAR_MAX)
			return fail(parser, i, i + 1,
				"put a backslash before a '-' that is meant as such",
				"a range without a beginning");
		for (unsigned int byte = low; byte <= high; byte++)
			set[byte / 8] |= (unsigned char)(1u << byte % 8);
	}
	if (not )
		for (size_t j = 0; j < SET_BYTES; j++)
			set[j] = (unsigned char)~set[j];
	*at = i;
	status = byte_add(parser->pattern, CODE_SET);
	return status ? status : bytes_add(parser->pattern, set, SET_BYTES);
}

/* A run of plain bytes: how long it is comes first. */
static int run_add(struct parser *parser, size_t *at, size_t end)
{
	struct pattern *pattern = parser->pattern;
	size_t i = *at, length = 0;
	int status = 0;

	while (i + length < end && length < UCHAR_MAX &&
		parser->atoms[i + length].code <= UCHAR_MAX)
		length++;
	status = byte_add(pattern, CODE_BYTES);
	if (status == 0)
		status = byte_add(pattern, (unsigned char)length);
	for (size_t j = 0; status == 0 && j < length; j++)
		status = byte_add(pattern, (unsigned char)parser->atoms[i + j].code);
	*at = i + length - 1;
	return status;
}

static void wild_found(struct pattern *pattern, const struct atom *atom)
{
	if (!pattern->wild)
		pattern->wild_column = atom->column;
	pattern->wild = true;
}

static int wild_add(struct parser *parser, size_t begin, size_t end)
{
	struct pattern *pattern = parser->pattern;
	size_t offset = pattern->used;
	int status = 0;

	for (size_t i = begin; status == 0 && i < end; i++) {
		const struct atom *atom = &parser->atoms[i];

		switch (atom->code) {
		case ATOM_STAR:
			if (i + 1 < end && parser->atoms[i + 1].code == ATOM_STAR)
				return fail(parser, i, i + 2,
					"write '*' here, or '**' between two slashes",
					"'**' must be a whole component");
			wild_found(pattern, atom);
			status = byte_add(pattern, CODE_STAR);
			break;
		case ATOM_QUESTION:
			wild_found(pattern, atom);
			status = byte_add(pattern, CODE_ANY);
			break;
		case ATOM_CLASS:
		case ATOM_CLASS_NOT:
			wild_found(pattern, atom);
			status = class_add(parser, &i);
			break;
		case ATOM_USER:
			pattern->variables |= VARIABLE_USER;
			status = byte_add(pattern, CODE_USER);
			break;
		case ATOM_UID:
			pattern->variables |= VARIABLE_UID;
			status = byte_add(pattern, CODE_UID);
			break;
		case ATOM_HOME:
			return fail(parser, i, i + 1, "for a name within a path there is %u",
				"%%h is an absolute path and can only begin a pattern");
		default:
			status = run_add(parser, &i, end);
			break;
		}
	}
	return status ? status : component_add(pattern, COMPONENT_WILD, offset);
}

static int literal_add(struct parser *parser, size_t begin, size_t end)
{
	struct pattern *pattern = parser->pattern;
	size_t offset = pattern->used;
	int status = 0;

	for (size_t i = begin; status == 0 && i < end; i++)
		status = byte_add(pattern, (unsigned char)parser->atoms[i].code);
	return status ? status : component_add(pattern, COMPONENT_LITERAL, offset);
}

static bool is_byte(const struct parser *parser, size_t at, char byte)
{
	return at < parser->count && parser->atoms[at].code == (unsigned char)byte;
}

static int path_component(struct parser *parser, size_t begin, size_t end)
{
	struct pattern *pattern = parser->pattern;
	size_t length = end - begin;
	bool plain = true;

	for (size_t i = begin; i < end; i++)
		plain &= parser->atoms[i].code <= UCHAR_MAX;
	if (length == 0 && end == parser->count)
		return fail(parser, end - 1, end, "leave it out: a directory is named like a file",
			"a slash at the end");
	if (length == 0)
		return fail(parser, end, end + 1, "write one slash", "an empty component: '//'");
	if (is_byte(parser, begin, '.') &&
		(length == 1 || (length == 2 && is_byte(parser, begin + 1, '.'))))
		return fail(parser, begin, end, "write the path as it is without it",
			"'%s' has no place in a pattern", length == 1 ? "." : "..");
	if (plain && length > NAME_MAX)
		return fail(
			parser, begin, end, NULL, "a component of more than %d bytes", NAME_MAX);
	if (plain)
		return literal_add(parser, begin, end);
	if (length == 2 && parser->atoms[begin].code == ATOM_STAR &&
		parser->atoms[begin + 1].code == ATOM_STAR) {
		wild_found(pattern, &parser->atoms[begin]);
		if (pattern->count &&
			pattern->components[pattern->count - 1].kind == COMPONENT_DEPTH)
			return 0;
		return component_add(pattern, COMPONENT_DEPTH, pattern->used);
	}
	return wild_add(parser, begin, end);
}

/* There are bytes even where no component has any, so that they can be pointed at. */
static int pattern_reset(struct pattern *pattern)
{
	pattern->count = 0;
	pattern->used = 0;
	pattern->variables = 0;
	pattern->wild = false;
	pattern->wild_column = 0;
	return array_reserve(&pattern->bytes, &pattern->room, 1, 1) ? 0 : -ENOMEM;
}

int pattern_parse_path(struct pattern *pattern, const struct atom *atoms, size_t count,
	const struct place *place, struct policy_diagnostics *diagnostics)
{
	struct parser parser = {pattern, atoms, count, place, diagnostics};
	size_t begin = 1, end;
	int status = 0;

	if (pattern_reset(pattern))
		return -ENOMEM;
	if (count == 0)
		return fail(&parser, 0, 0, NULL, "an empty pattern");
	if (atoms[0].code == ATOM_HOME) {
		if (count > 1 && !is_byte(&parser, 1, '/'))
			return fail(&parser, 1, 2, "put a '/' behind it",
				"%%h is a whole path, nothing can be joined to it");
		pattern->variables |= VARIABLE_HOME;
		status = component_add(pattern, COMPONENT_HOME, pattern->used);
		begin = 2;
	} else if (!is_byte(&parser, 0, '/')) {
		return fail(&parser, 0, count, "a path begins with '/' or %h",
			"a pattern must be an absolute path");
	}
	if (count > PATH_MAX - 1)
		return fail(&parser, 0, count, NULL, "a path of more than %d bytes", PATH_MAX - 1);
	/* The root, and %h alone, have no more components; a slash at the end has an empty one. */
	for (end = count > 1 ? 0 : count; status == 0 && end < count; begin = end + 1) {
		for (end = begin; end < count && atoms[end].code != '/';)
			end++;
		status = path_component(&parser, begin, end);
	}
	if (status == 0 && pattern->count &&
		pattern->components[pattern->count - 1].kind == COMPONENT_DEPTH) {
		size_t offset = pattern->used;

		status = byte_add(pattern, CODE_STAR);
		if (status == 0)
			status = component_add(pattern, COMPONENT_WILD, offset);
	}
	return status;
}

int pattern_parse_name(struct pattern *pattern, const struct atom *atoms, size_t count,
	const struct place *place, struct policy_diagnostics *diagnostics)
{
	struct parser parser = {pattern, atoms, count, place, diagnostics};
	bool plain = true;

	if (pattern_reset(pattern))
		return -ENOMEM;
	if (count == 0)
		return fail(&parser, 0, 0, NULL, "an empty name");
	for (size_t i = 0; i < count; i++)
		plain &= atoms[i].code <= UCHAR_MAX;
	return plain ? literal_add(&parser, 0, count) : wild_add(&parser, 0, count);
}

/* Whether there is one name that it matches, for one caller: it has variables, but no wildcard. */
static bool is_one_name(const struct pattern *pattern, const struct component *component)
{
	const unsigned char *code = (const unsigned char *)pattern->bytes + component->offset;

	if (component->kind != COMPONENT_WILD)
		return component->kind != COMPONENT_DEPTH;
	for (size_t i = 0; i < component->length; i++) {
		if (code[i] == CODE_BYTES)
			i += 1 + (size_t)code[i + 1];
		else if (code[i] != CODE_USER && code[i] != CODE_UID)
			return false;
	}
	return true;
}

size_t pattern_anchor(const struct pattern *pattern)
{
	size_t i = 0;

	while (i < pattern->count && is_one_name(pattern, &pattern->components[i]))
		i++;
	if (i == 1 && pattern->components[0].kind == COMPONENT_HOME)
		return 1;
	return i && i == pattern->count ? i - 1 : i;
}

bool pattern_varies(const struct pattern *pattern, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		if (pattern->components[i].kind != COMPONENT_LITERAL)
			return true;
	return false;
}

char *pattern_literal(const struct pattern *pattern, size_t depth, struct arena *arena)
{
	size_t length = 0;
	char *path, *end;

	for (size_t i = 0; i < depth; i++)
		length += 1 + pattern->components[i].length;
	path = end = arena_alloc(arena, length + 2);
	if (!path)
		return NULL;
	for (size_t i = 0; i < depth; i++) {
		*end++ = '/';
		memcpy(end, pattern->bytes + pattern->components[i].offset,
			pattern->components[i].length);
		end += pattern->components[i].length;
	}
	if (depth == 0)
		*path = '/';
	return path;
}

bool pattern_print(const struct pattern *pattern, size_t depth, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < depth; i++) {
		const struct component *component = &pattern->components[i];
		const char *bytes = pattern->bytes + component->offset;
		bool coded = component->kind == COMPONENT_WILD;

		if (used + 2 * component->length + 4 > size)
			return false;
		if (component->kind == COMPONENT_HOME) {
			buffer[used++] = '%';
			buffer[used++] = 'h';
			continue;
		}
		buffer[used++] = '/';
		for (size_t j = 0, run = 0; j < component->length; j++) {
			if (coded && run == 0) {
				if (bytes[j] == CODE_BYTES) {
					run = (unsigned char)bytes[++j];
				} else {
					buffer[used++] = '%';
					buffer[used++] = bytes[j] == CODE_USER ? 'u' : 'U';
				}
				continue;
			}
			run -= coded;
			if (bytes[j] == '%')
				buffer[used++] = '%';
			buffer[used++] = bytes[j];
		}
	}
	if (used == 0)
		buffer[used++] = '/';
	buffer[used] = '\0';
	return true;
}

/* How many bytes of the name the value takes up; -1 where it does not stand there. */
static inline long value_match(
	const char *value, size_t value_length, const char *name, size_t length)
{
	if (!value || value_length > length || memcmp(value, name, value_length) != 0)
		return -1;
	return (long)value_length;
}

bool component_match(const unsigned char *code, size_t size, const char *name, size_t length,
	const struct values *values)
{
	size_t i = 0, at = 0, star = SIZE_MAX, star_at = 0;

	for (;;) {
		size_t used = 0; /* code used up by what matched */
		long taken = -1;

		if (i == size) {
			if (at == length)
				return true;
			goto again;
		}
		switch (code[i]) {
		case CODE_STAR:
			star = ++i;
			star_at = at;
			if (i == size)
				return true;
			continue;
		case CODE_ANY:
			used = 1;
			taken = at < length ? 1 : -1;
			break;
		case CODE_SET:
			used = 1 + SET_BYTES;
			if (at < length) {
				unsigned char byte = (unsigned char)name[at];

				if (code[i + 1 + byte / 8] & 1u << byte % 8)
					taken = 1;
			}
			break;
		case CODE_BYTES:
			used = 2 + (size_t)code[i + 1];
			if (code[i + 1] <= length - at &&
				memcmp(code + i + 2, name + at, code[i + 1]) == 0)
				taken = code[i + 1];
			break;
		case CODE_USER:
			used = 1;
			taken = value_match(
				values->user, values->user_length, name + at, length - at);
			break;
		case CODE_UID:
			used = 1;
			taken = value_match(
				values->uid, values->uid_length, name + at, length - at);
			break;
		}
		if (taken >= 0) {
			i += used;
			at += (size_t)taken;
			continue;
		}
	again:
		if (star == SIZE_MAX || star_at >= length)
			return false;
		i = star;
		at = ++star_at;
	}
}

bool component_is_any(const unsigned char *code, size_t size)
{
	return size == 1 && code[0] == CODE_STAR;
}
