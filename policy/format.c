/* SPDX-License-Identifier: MIT */
/*
 * format.c: the one canonical layout. Words stay as they are written; only the blanks between them,
 * the indent, and empty lines change, so that formatting can never change what a policy means.
 */
#include "format.h"
#include "lexer.h"
#include "policy.h"
#include "syntax.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The short keywords of a subject are set to one width, which makes columns of its rules. */
#define KEYWORD_WIDTH 5

struct formatter {
	FILE *out;
	bool inside; /* a subject */
	bool empty;  /* an empty line was met */
	bool opened; /* nothing was written since the file or the subject began */
};

static void write_line(struct formatter *formatter, const struct line *line)
{
	bool closes = line->count && word_is(&line->words[0], "}");
	bool indented = formatter->inside && !closes;

	if (formatter->empty && !formatter->opened && !closes)
		fputc('\n', formatter->out);
	formatter->empty = false;
	formatter->opened = false;
	if (indented)
		fputc('\t', formatter->out);
	for (uint32_t i = 0; i < line->count; i++) {
		const struct word *word = &line->words[i];

		fwrite(word->text, 1, word->length, formatter->out);
		if (i + 1 == line->count)
			break;
		fputc(' ', formatter->out);
		for (uint32_t j = word->length; i == 0 && indented && j < KEYWORD_WIDTH; j++)
			fputc(' ', formatter->out);
	}
	if (line->comment.length) {
		uint32_t length = line->comment.length;

		while (length && (line->comment.text[length - 1] == ' ' ||
					 line->comment.text[length - 1] == '\t'))
			length--;
		if (line->count)
			fputc(' ', formatter->out);
		fwrite(line->comment.text, 1, length, formatter->out);
	}
	fputc('\n', formatter->out);
	if (closes)
		formatter->inside = false;
	else if (line->count && word_is(&line->words[0], keyword_name(KEYWORD_SUBJECT)))
		formatter->inside = formatter->opened = true;
}

static int format(struct lexer *lexer, FILE *out)
{
	struct formatter formatter = {.out = out, .opened = true};
	struct line line;
	int status, failed = 0;

	while ((status = lexer_next(lexer, &line))) {
		if (status == -ENOMEM)
			return status;
		if (status < 0)
			failed = status;
		else if (line.count == 0 && line.comment.length == 0)
			formatter.empty = true;
		else
			write_line(&formatter, &line);
	}
	return failed;
}

int policy_format(const char *path, const char *text, size_t length,
	struct policy_diagnostics *diagnostics, char **formatted, size_t *formatted_length)
{
	size_t errors = policy_diagnostics_errors(diagnostics);
	char *copy = malloc(length + 1);
	struct arena arena = {0};
	struct source *source;
	struct lexer lexer;
	FILE *out;
	int status;

	*formatted = NULL;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, length);
	source = source_new(path, copy, length, 0);
	out = source ? open_memstream(formatted, formatted_length) : NULL;
	if (!out) {
		if (!source)
			free(copy);
		source_free(source);
		return -ENOMEM;
	}
	lexer_init(&lexer, source, &arena, diagnostics);
	status = format(&lexer, out);
	if (fclose(out) && status == 0)
		status = -ENOMEM;
	lexer_done(&lexer);
	arena_free(&arena);
	source_free(source);
	if (status == 0 && policy_diagnostics_errors(diagnostics) > errors)
		status = -EINVAL;
	if (status) {
		free(*formatted);
		*formatted = NULL;
	}
	return status;
}
