/* SPDX-License-Identifier: MIT */
/*
 * audit.h: the record. Each event is one line of JSON on one descriptor, written by one write(2).
 *
 * A line is put together field by field, so that who reports an event says what it knows and
 * nothing else: this file knows nobody. Whatever bytes a field holds, the line is valid JSON and
 * valid UTF-8: a byte that is not part of a valid sequence becomes the lone surrogate U+DC80 +
 * (byte - 0x80), as Python's "surrogateescape" has it, so that nothing is lost and nothing can be
 * mistaken for something else.
 */
#ifndef BROKER_AUDIT_H
#define BROKER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes: three paths of 4,095 bytes, each escaped to six bytes, and the rest of a line fit. */
#define AUDIT_LINE_MAX 77824

struct audit_line {
	int descriptor;
	bool torn;     /* the last line was cut short: the next one starts a new one */
	uint64_t lost; /* lines that could not be written since the last that could */
	size_t used;
	char bytes[AUDIT_LINE_MAX];
};

/*
 * A descriptor to write the record to that never waits for whoever reads it, made of `descriptor`, which
 * stays as it is (it may be others' standard error too). -1 with errno where there is none to be had.
 */
int audit_open(int descriptor);

/*
 * Starts a line: the time (UTC, microseconds) and the event's name; and, as "lost", how many lines before it
 * nobody made room for.
 */
void audit_begin(struct audit_line *line, int descriptor, const char *event);

/* Adds a field. A string that no longer fits is left out whole. NULL adds nothing. */
void audit_string(struct audit_line *line, const char *name, const char *value);
void audit_bytes(struct audit_line *line, const char *name, const char *value, size_t length);
void audit_number(struct audit_line *line, const char *name, int64_t value);
/* Adds "errno" as the name of a positive errno (ENOENT). */
void audit_errno(struct audit_line *line, int error);

/*
 * Ends the line and writes it, without waiting: a reader that does not read must not stop the daemon. A line
 * that cannot be written is lost, and counted. errno is left alone.
 */
void audit_end(struct audit_line *line);

#endif
