/* SPDX-License-Identifier: MIT */
/* operands.h: what stands behind the options: "PATH [-- COMMAND...]", or "PATH...". */
#ifndef CLI_OPERANDS_H
#define CLI_OPERANDS_H

#include "command.h"

/* What env(1) and the shells return for a command that could not be started. */
enum {
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

struct operands {
	const char *path;
	char **command; /* ends in NULL; NULL: none */
};

/*
 * Reads a command line. Options may stand before and after PATH; what follows a "--" after PATH is
 * COMMAND, so that its own options are left alone. `parse_options` reads options up to the first other
 * argument, to which optind then points, gets `data`, and returns 0 or EXIT_USAGE; it is called for
 * both places. Returns the same.
 */
int operands_parse(const struct command *self, int argc, char **argv,
	int (*parse_options)(const struct command *self, int argc, char **argv, void *data),
	void *data, struct operands *operands);

/* Becomes COMMAND. Returns only where that fails: the exit code, after having reported why. */
int operands_execute(const struct operands *operands);

struct fdbroker;

/*
 * For "PATH...": does `one` for each of the arguments from optind on, on one connection to the broker at
 * `address` (NULL: the default). `one` returns an exit code, after having reported what failed; the
 * others are done all the same. Returns EXIT_DONE if all did, else EXIT_FAILED; EXIT_USAGE where there
 * is no PATH.
 */
int operands_each(const struct command *self, int argc, char **argv, const char *address,
	int (*one)(
		const struct command *self, struct fdbroker *broker, const char *path, void *data),
	void *data);

#endif
