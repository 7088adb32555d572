// SPDX-License-Identifier: MIT
/*
 * command.c: what all subcommands have in common: their options and their help.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

void command_finish_printing(void)
{
	if (fflush(stdout) != 0) {
		perror("fdbroker: standard output");
		exit(EXIT_FAILED);
	}
	exit(EXIT_DONE);
}

int command_option(const struct command *self, int argc, char **argv, const struct option *options)
{
	int value;

	opterr = 0;
	value = getopt_long(argc, argv, "+:", options, NULL);
	switch (value) {
	case COMMAND_HELP_VALUE:
		printf("Usage: fdbroker %s %s\n%c%s.\n\n%s", self->name, self->usage,
			self->summary[0] - 'a' + 'A', self->summary + 1, self->help);
		command_finish_printing();
	case ':':
		exit(command_misused(self, "%s needs an argument", argv[optind - 1]));
	case '?':
		/* A letter in a cluster does not move optind on to the next argument. */
		if (optopt != 0 && strncmp(argv[optind - 1], "--", 2) != 0)
			exit(command_misused(self, "it has no option -%c", optopt));
		exit(command_misused(self, "%s is not an option of it, or not used like that",
			argv[optind - 1]));
	default:
		return value;
	}
}

int command_misused(const struct command *self, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "fdbroker: %s: ", self->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; see `fdbroker %s --help`\n", self->name);
	return EXIT_USAGE;
}
