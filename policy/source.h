/* SPDX-License-Identifier: MIT */
/*
 * source.h: the text of one policy file, by lines, and places in it.
 */
#ifndef POLICY_SOURCE_H
#define POLICY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
	char *path; /* as the policy names it */
	char *text; /* not NUL-terminated; may hold any byte */
	size_t length;
	uint32_t *lines; /* where each line begins */
	size_t line_count;
	uint64_t id[2]; /* of the file, where `identified` */
	bool identified;
	unsigned int order; /* files are reported in the order they were first read */
};

/* A place to point at. Without a line the file as a whole is meant, without a column the line. */
struct place {
	const struct source *source;
	unsigned int line, column, length;
};

/*
 * Takes over `text` (malloc'ed; at most 4 GiB), copies `path`. NULL where memory is short: then
 * `text` is still the caller's.
 */
struct source *source_new(const char *path, char *text, size_t length, unsigned int order);
void source_free(struct source *source);

/* Line `line` (from 1) without its newline. Returns its length, 0 for a line that is not there. */
size_t source_line(const struct source *source, unsigned int line, const char **text);

#endif
