/* SPDX-License-Identifier: MIT */
/*
 * report.h: how the rest of the library adds to the diagnostics that diagnostic.h shows to the
 * world.
 */
#ifndef POLICY_REPORT_H
#define POLICY_REPORT_H

#include "diagnostic.h"
#include "source.h"

/*
 * Adds one. `hint` may be NULL. Message and hint are escaped here, so that a name from the text may
 * be printed with %s or %.*s. Where memory is short the diagnostics remember that; see
 * report_short.
 */
void report_add(struct policy_diagnostics *diagnostics, enum policy_severity severity,
	const struct place *place, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#define report_error(diagnostics, place, hint, ...) \
	report_add(diagnostics, POLICY_ERROR, place, hint, __VA_ARGS__)
#define report_warning(diagnostics, place, hint, ...) \
	report_add(diagnostics, POLICY_WARNING, place, hint, __VA_ARGS__)

/* Adds an error about a file that could not be read, and so is no source. */
void report_file(struct policy_diagnostics *diagnostics, const char *file, const char *hint,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Puts them into their order: by file as first read, line, column. */
void report_sort(struct policy_diagnostics *diagnostics);

/* Whether one was lost for want of memory. */
bool report_short(const struct policy_diagnostics *diagnostics);

/*
 * Copies bytes as one printable line: control characters, backslash-free, become \n, \t or \xHH,
 * and so do bytes that are not UTF-8. Returns a malloc'ed string or NULL. A tab stays where
 * `keep_tabs`.
 */
char *report_escape(const char *bytes, size_t length, bool keep_tabs);

#endif
