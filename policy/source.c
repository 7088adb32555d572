/* SPDX-License-Identifier: MIT */
/*
 * source.c: see source.h. It must never look at what the text means.
 */
#include "source.h"

#include <stdlib.h>
#include <string.h>

static size_t count_lines(const char *text, size_t length)
{
	const char *end = text + length, *newline;
	size_t count = 0;

	while (text < end) {
		count++;
		newline = memchr(text, '\n', (size_t)(end - text));
		if (!newline)
			break;
		text = newline + 1;
	}
	return count;
}

struct source *source_new(const char *path, char *text, size_t length, unsigned int order)
{
	struct source *source = calloc(1, sizeof(*source));
	size_t at = 0;

	if (!source)
		return NULL;
	source->line_count = count_lines(text, length);
	source->path = strdup(path);
	source->lines = calloc(source->line_count + 1, sizeof(*source->lines));
	if (!source->path || !source->lines) {
		source_free(source);
		return NULL;
	}
	for (size_t line = 0; line < source->line_count; line++) {
		const char *newline = memchr(text + at, '\n', length - at);

		source->lines[line] = (uint32_t)at;
		at = newline ? (size_t)(newline - text) + 1 : length;
	}
	source->text = text;
	source->length = length;
	source->order = order;
	return source;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	free(source->path);
	free(source->text);
	free(source->lines);
	free(source);
}

size_t source_line(const struct source *source, unsigned int line, const char **text)
{
	size_t begin, end;

	*text = NULL;
	if (line == 0 || line > source->line_count)
		return 0;
	begin = source->lines[line - 1];
	end = line < source->line_count ? source->lines[line] : source->length;
	*text = source->text + begin;
	if (end > begin && source->text[end - 1] == '\n')
		end--;
	return end - begin;
}
