/* SPDX-License-Identifier: MIT */
/* mode.h: permissions as they are written on a command line. */
#ifndef CLI_MODE_H
#define CLI_MODE_H

#include "command.h"

#include <sys/types.h>

/* Reads an octal number of at most 07777. Returns 0, or EXIT_USAGE after having reported it. */
int mode_parse(const struct command *self, const char *text, mode_t *mode);

#endif
