/* SPDX-License-Identifier: MIT */
/*
 * shorten.h: makes a line of the record short enough to be written in one piece to what is no file. What several
 * processes write to a pipe stays apart only up to PIPE_BUF bytes at a time (pipe(7)): beyond, a part of one's line can
 * get into another's.
 */
#ifndef BROKER_SHORTEN_H
#define BROKER_SHORTEN_H

#include <stddef.h>

/*
 * Shortens a line as audit.h makes it, `{"name":"text","name":1` without its end, of `used` bytes, to at most `most`,
 * which is 1024 or more. The longest texts are cut, between two characters, and end with U+2026; their names, separated
 * by blanks, are the text of another member, "shortened". Of all bytes in hexadecimal (NAME_hex) nothing stays. It is
 * the same kind of line afterwards. Returns its length.
 */
size_t shorten(char *line, size_t used, size_t most);

#endif
