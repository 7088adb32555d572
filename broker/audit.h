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

#include <stddef.h>
#include <stdint.h>

/* Bytes: two paths of 4,095 bytes, each escaped to six bytes, and the rest of a line fit. */
#define AUDIT_LINE_MAX 53248

struct audit_line {
	int descriptor;
	size_t used;
	char bytes[AUDIT_LINE_MAX];
};

/* Starts a line: the time (UTC, microseconds) and the event's name. */
void audit_begin(struct audit_line *line, int descriptor, const char *event);

/* Adds a field. A string that no longer fits is left out whole. NULL adds nothing. */
void audit_string(struct audit_line *line, const char *name, const char *value);
void audit_bytes(struct audit_line *line, const char *name, const char *value, size_t length);
void audit_number(struct audit_line *line, const char *name, int64_t value);
/* Adds "errno" as the name of a positive errno (ENOENT). */
void audit_errno(struct audit_line *line, int error);

/* Ends the line and writes it. errno is left alone; a line that cannot be written is lost. */
void audit_end(struct audit_line *line);

#endif
