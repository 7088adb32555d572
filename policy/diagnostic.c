/* SPDX-License-Identifier: MIT */
/*
 * diagnostic.c: collects what is wrong with a policy and prints it.
 *
 * What is printed comes from the policy's bytes, and goes to a terminal and to logs: no control
 * character and nothing that is not UTF-8 gets through. The list is bounded, since a binary file
 * taken for a policy has an error on every line.
 */
#include "diagnostic.h"

#include "memory.h"
#include "report.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DIAGNOSTICS_MAX 1000u
#define TEXT_MAX	160u /* bytes of a line that are shown */
#define TEXT_BEFORE	60u  /* of them before the place, where a line is cut */

struct entry {
	struct policy_diagnostic shown;
	unsigned int order; /* of the file */
	size_t added;	    /* keeps the order of arrival within one place */
};

struct policy_diagnostics {
	struct entry *entries;
	size_t count, capacity, errors;
	bool short_of_memory;
};

struct policy_diagnostics *policy_diagnostics_new(void)
{
	return calloc(1, sizeof(struct policy_diagnostics));
}

static void entry_free(struct policy_diagnostic *shown)
{
	free(shown->file);
	free(shown->message);
	free(shown->hint);
	free(shown->text);
}

void policy_diagnostics_free(struct policy_diagnostics *diagnostics)
{
	if (!diagnostics)
		return;
	for (size_t i = 0; i < diagnostics->count; i++)
		entry_free(&diagnostics->entries[i].shown);
	free(diagnostics->entries);
	free(diagnostics);
}

size_t policy_diagnostics_count(const struct policy_diagnostics *diagnostics)
{
	return diagnostics->count;
}

size_t policy_diagnostics_errors(const struct policy_diagnostics *diagnostics)
{
	return diagnostics->errors;
}

const struct policy_diagnostic *policy_diagnostics_get(
	const struct policy_diagnostics *diagnostics, size_t i)
{
	return i < diagnostics->count ? &diagnostics->entries[i].shown : NULL;
}

bool report_short(const struct policy_diagnostics *diagnostics)
{
	return diagnostics->short_of_memory;
}

/* The length of the UTF-8 sequence at `bytes`, or 0 where it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
	size_t length;
	unsigned char low = 0x80, high = 0xbf;

	if (bytes[0] < 0x80)
		return 1;
	if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf)
		length = 2;
	else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef)
		length = 3;
	else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (bytes[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (bytes[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (bytes[0] == 0xf0)
		low = 0x90;
	else if (bytes[0] == 0xf4)
		high = 0x8f;
	if (left < length || bytes[1] < low || bytes[1] > high)
		return 0;
	/* U+0080 to U+009F are control characters to a terminal. */
	if (bytes[0] == 0xc2 && bytes[1] < 0xa0)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (bytes[i] < 0x80 || bytes[i] > 0xbf)
			return 0;
	return length;
}

/* Escapes one character into `out` (at least 8 bytes); *used says how many bytes of input it took.
 */
static size_t escape_one(const char *bytes, size_t left, bool keep_tabs, char *out, size_t *used)
{
	unsigned char byte = (unsigned char)bytes[0];
	size_t length = utf8_length((const unsigned char *)bytes, left);

	*used = 1;
	if (byte == '\n' || (byte == '\t' && !keep_tabs))
		return (size_t)snprintf(out, 8, byte == '\n' ? "\\n" : "\\t");
	if (length == 0 || (byte < 0x20 && byte != '\t') || byte == 0x7f)
		return (size_t)snprintf(out, 8, "\\x%02x", byte);
	memcpy(out, bytes, length);
	*used = length;
	return length;
}

char *report_escape(const char *bytes, size_t length, bool keep_tabs)
{
	char *result = malloc(length * 4 + 8), *out = result;

	if (!result)
		return NULL;
	for (size_t i = 0, used; i < length; i += used)
		out += escape_one(bytes + i, length - i, keep_tabs, out, &used);
	*out = '\0';
	return result;
}

/* Fills in `text` and where the place is in it: a window of the line around the place. */
static bool show_line(struct policy_diagnostic *shown, const struct place *place)
{
	const char *line;
	size_t length = source_line(place->source, place->line, &line);
	size_t at = place->column ? place->column - 1 : 0, begin = 0, end = length, used;
	char *out;

	if (length == 0)
		return true;
	if (at > length)
		at = length;
	if (length > TEXT_MAX) {
		begin = at > TEXT_BEFORE ? at - TEXT_BEFORE : 0;
		end = length - begin > TEXT_MAX ? begin + TEXT_MAX : length;
		/* Not in the middle of a character. */
		while (begin > 0 && begin < at && ((unsigned char)line[begin] & 0xc0) == 0x80)
			begin++;
	}
	out = shown->text = malloc((end - begin) * 4 + 16);
	if (!out)
		return false;
	if (begin > 0)
		out = stpcpy(out, "...");
	for (size_t i = begin; i < end; i += used) {
		if (i <= at)
			shown->caret = (size_t)(out - shown->text);
		out += escape_one(line + i, end - i, true, out, &used);
		if (place->column && i >= at && i < at + shown->length)
			shown->caret_length = (size_t)(out - shown->text) - shown->caret;
	}
	if (at >= end)
		shown->caret = (size_t)(out - shown->text);
	if (place->column && shown->caret_length == 0)
		shown->caret_length = 1;
	if (end < length)
		out = stpcpy(out, "...");
	*out = '\0';
	return true;
}

__attribute__((format(printf, 6, 0))) static void add(struct policy_diagnostics *diagnostics,
	enum policy_severity severity, const char *file, const struct place *place,
	const char *hint, const char *format, va_list arguments)
{
	struct entry entry = {.added = diagnostics->count};
	struct policy_diagnostic *shown = &entry.shown;
	char *message = NULL;

	if (severity == POLICY_ERROR)
		diagnostics->errors++;
	if (diagnostics->count >= DIAGNOSTICS_MAX)
		return;
	shown->severity = severity;
	shown->file = strdup(file);
	if (place) {
		entry.order = place->source->order;
		shown->line = place->line;
		shown->column = place->line ? place->column : 0;
		shown->length = shown->column ? (place->length ? place->length : 1) : 0;
	} else {
		entry.order = UINT32_MAX;
	}
	if (vasprintf(&message, format, arguments) < 0)
		message = NULL;
	if (message)
		shown->message = report_escape(message, strlen(message), false);
	free(message);
	if (hint)
		shown->hint = report_escape(hint, strlen(hint), false);
	if (!shown->file || !shown->message || (hint && !shown->hint) ||
		(place && place->line && !show_line(shown, place)) ||
		!array_reserve(&diagnostics->entries, &diagnostics->capacity,
			diagnostics->count + 1, sizeof(entry))) {
		entry_free(shown);
		diagnostics->short_of_memory = true;
		return;
	}
	diagnostics->entries[diagnostics->count++] = entry;
}

void report_add(struct policy_diagnostics *diagnostics, enum policy_severity severity,
	const struct place *place, const char *hint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(diagnostics, severity, place->source->path, place, hint, format, arguments);
	va_end(arguments);
}

void report_file(struct policy_diagnostics *diagnostics, const char *file, const char *hint,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(diagnostics, POLICY_ERROR, file, NULL, hint, format, arguments);
	va_end(arguments);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	if (x->shown.line != y->shown.line)
		return x->shown.line < y->shown.line ? -1 : 1;
	if (x->shown.column != y->shown.column)
		return x->shown.column < y->shown.column ? -1 : 1;
	return x->added < y->added ? -1 : x->added > y->added;
}

void report_sort(struct policy_diagnostics *diagnostics)
{
	if (diagnostics->count)
		qsort(diagnostics->entries, diagnostics->count, sizeof(*diagnostics->entries),
			compare);
}

void policy_diagnostic_print(FILE *stream, const struct policy_diagnostic *diagnostic)
{
	const char *kind = diagnostic->severity == POLICY_ERROR ? "error" : "warning";

	char *file = report_escape(diagnostic->file, strlen(diagnostic->file), false);

	fputs(file ? file : "?", stream);
	free(file);
	if (diagnostic->line)
		fprintf(stream, ":%u", diagnostic->line);
	if (diagnostic->column)
		fprintf(stream, ":%u", diagnostic->column);
	fprintf(stream, ": %s: %s\n", kind, diagnostic->message);
	if (diagnostic->text) {
		fprintf(stream, "    %s\n", diagnostic->text);
		if (diagnostic->caret_length) {
			fputs("    ", stream);
			for (size_t i = 0; i < diagnostic->caret + diagnostic->caret_length; i++) {
				unsigned char byte = (unsigned char)diagnostic->text[i];

				/* A caret at the end of the line stands past the text. */
				if (!byte) {
					fputc('^', stream);
					break;
				}
				if (byte >= 0x80 && byte < 0xc0)
					continue;
				if (i < diagnostic->caret)
					fputc(byte == '\t' ? '\t' : ' ', stream);
				else
					fputc(i == diagnostic->caret ? '^' : '~', stream);
			}
			fputc('\n', stream);
		}
	}
	if (diagnostic->hint)
		fprintf(stream, "  hint: %s\n", diagnostic->hint);
}
