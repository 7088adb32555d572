/* SPDX-License-Identifier: MIT */
/*
 * diagnostic.h: what is wrong with a policy, each with its place, in an order a person can work
 * through.
 */
#ifndef POLICY_DIAGNOSTIC_H
#define POLICY_DIAGNOSTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum policy_severity { POLICY_ERROR, POLICY_WARNING };

struct policy_diagnostic {
	enum policy_severity severity;
	char *file;	     /* as the policy names it */
	unsigned int line;   /* from 1; 0 where the file as a whole is meant */
	unsigned int column; /* bytes from 1; 0 where the line as a whole is meant */
	unsigned int length; /* bytes underlined, at least 1 where there is a column */
	char *message;	     /* one line, control characters escaped */
	char *hint;	     /* what to do, one line; or NULL */
	char *text;   /* the line itself, escaped likewise and cut to a bearable length; or NULL */
	size_t caret; /* where in `text` the place is: bytes from 0 ... */
	size_t caret_length; /* ... and how many; 0 where there is no column */
};

struct policy_diagnostics;

/* Returns NULL where memory is short. */
struct policy_diagnostics *policy_diagnostics_new(void);
void policy_diagnostics_free(struct policy_diagnostics *diagnostics);

size_t policy_diagnostics_count(const struct policy_diagnostics *diagnostics);
size_t policy_diagnostics_errors(const struct policy_diagnostics *diagnostics);
/* The i-th, ordered by file (as first read), line and column. */
const struct policy_diagnostic *policy_diagnostics_get(
	const struct policy_diagnostics *diagnostics, size_t i);

/*
 * Prints one as
 *	FILE:LINE:COLUMN: error: MESSAGE
 *	    the line
 *	    ^~~~
 *	  hint: HINT
 */
void policy_diagnostic_print(FILE *stream, const struct policy_diagnostic *diagnostic);

#endif
