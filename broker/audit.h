/* SPDX-License-Identifier: MIT */
/*
 * audit.h: the record. Each event is one line of JSON on one descriptor, written by one write(2); or, where the
 * descriptor is the journal's socket, one datagram of fields.
 *
 * A line is put together field by field, so that who reports an event says what it knows and
 * nothing else: this file knows nobody. Whatever bytes a field holds, the line is valid JSON, valid UTF-8 and
 * without lone surrogates, which strict readers refuse (RFC 7493): a byte that is not part of a valid sequence
 * becomes U+FFFD, and a second field, NAME_hex, then has all bytes in hexadecimal. So nothing is lost, and
 * nothing can be mistaken for something else. Fields of the journal hold any bytes as they are.
 */
#ifndef BROKER_AUDIT_H
#define BROKER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes: three paths of 4,095 bytes, each escaped to six bytes and in hexadecimal besides, and the rest of a line
 * fit. */
#define AUDIT_LINE_MAX 102400

/* What the journal's MESSAGE is made of. */
#define AUDIT_PARTS 6

struct audit_line {
	int descriptor;
	bool journal; /* of fields, for the journal */
	struct {
		size_t at, length;
	} parts[AUDIT_PARTS]; /* of `bytes`; likewise */
	bool torn;	      /* the last line was cut short: the next one starts a new one */
	uint64_t lost;	      /* lines that could not be written since the last that could */
	size_t used;
	char bytes[AUDIT_LINE_MAX];
};

/*
 * A descriptor to write the record to that never waits for whoever reads it, made of `descriptor`, which
 * stays as it is (it may be others' standard error too). -1 with errno where there is none to be had.
 */
int audit_open(int descriptor);

/*
 * From now on what is written to `descriptor` goes to the journal, as journal_open has connected it. There is one
 * such descriptor in a process, which is told of before there are threads.
 */
void audit_use_journal(int descriptor);
bool audit_is_journal(int descriptor);

/*
 * Starts a line: the time (UTC, microseconds) and the event's name; and, as "lost", how many lines before it
 * nobody made room for.
 */
void audit_begin(struct audit_line *line, int descriptor, const char *event);

/* Adds a field. A string that no longer fits is left out whole. NULL adds nothing. A name is a string literal of
 * small letters, digits and '_'. */
void audit_string(struct audit_line *line, const char *name, const char *value);
void audit_bytes(struct audit_line *line, const char *name, const char *value, size_t length);
void audit_number(struct audit_line *line, const char *name, int64_t value);
/* Adds "errno" as the name of a positive errno (ENOENT). */
void audit_errno(struct audit_line *line, int error);

/*
 * Ends the line and writes it, without waiting: a reader that does not read must not stop the daemon. What goes to a
 * file is whole; to anything else no more than PIPE_BUF bytes are written, and a longer line is shortened. A line
 * that cannot be written is lost, and counted. Of one too long for a datagram only the message goes, and
 * "truncated". errno is left alone.
 */
void audit_end(struct audit_line *line);

#endif
