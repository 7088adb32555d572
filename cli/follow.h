/* SPDX-License-Identifier: MIT */
/* follow.h: the lines of a file, also of one that grows, is cut or is replaced, as by logrotate(8). */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

struct follow;

/*
 * Opens the file at `path` ("-": standard input), to be read from its beginning. With `wait` its end is not the
 * end. NULL with errno.
 */
struct follow *follow_open(const char *path, bool wait);
void follow_close(struct follow *follow);

/*
 * The next line, without its newline and with a NUL, until the next call; a line of more than 1 MiB is cut there.
 * Before it waits, standard output is flushed. 1; 0 at the end; a negative errno.
 */
int follow_line(struct follow *follow, char **line, size_t *length);

#endif
