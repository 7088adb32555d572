/* SPDX-License-Identifier: MIT */
/*
 * policy-file.h: what the subcommands about a policy share: loading it, and printing for people or
 * programs.
 */
#ifndef CLI_POLICY_FILE_H
#define CLI_POLICY_FILE_H

#include "lint.h"
#include "query.h"

/*
 * Loads a policy. Its diagnostics are the caller's, printed or not. Returns 0, or -EINVAL; where
 * memory is short it says so and ends the program.
 */
int policy_file_load(
	const char *path, struct policy_diagnostics **diagnostics, struct policy **policy);

/* A file as it is, NUL-terminated, from malloc(3). 0 or a negative errno. */
int policy_file_read(const char *path, char **text, size_t *length);

/* To standard error, as a person reads them. */
void policy_file_print(const struct policy_diagnostics *diagnostics);

/* A string of JSON, quotes included. Bytes that are not UTF-8 are written as if they were Latin-1.
 */
void json_string(const char *text);

/* To standard output, what is no printable text as \n, \t or \xHH: a name may hold any byte. */
void print_escaped(const char *bytes, size_t length);

/* "allow" and "deny", and why in one line. */
const char *policy_reason_text(enum policy_reason reason);

#endif
