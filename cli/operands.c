// SPDX-License-Identifier: MIT
/*
 * operands.c: what stands behind the options of the subcommands that ask for files.
 *
 * A command that is given gets its own arguments word for word: nothing of them may ever be taken for
 * an option of this tool.
 */
#include "operands.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "fdbroker.h"
#include "report.h"

int operands_parse(const struct command *self, int argc, char **argv,
	int (*parse_options)(const struct command *self, int argc, char **argv, void *data),
	void *data, struct operands *operands)
{
	int error = parse_options(self, argc, argv, data);

	if (error != 0)
		return error;
	if (optind == argc)
		return command_misused(self, "PATH is missing");
	argc -= optind;
	argv += optind;
	operands->path = argv[0];

	/* Begin anew, with PATH where getopt(3) expects the program's name. */
	optind = 0;
	error = parse_options(self, argc, argv, data);
	if (error != 0)
		return error;
	operands->command = NULL;
	if (optind > 1 && strcmp(argv[optind - 1], "--") == 0) {
		if (optind == argc)
			return command_misused(self, "COMMAND is missing after --");
		operands->command = argv + optind;
	} else if (optind < argc) {
		return command_misused(self, "one PATH only; write -- before COMMAND");
	}
	return 0;
}

int operands_execute(const struct operands *operands)
{
	int error;

	execvp(operands->command[0], operands->command);
	error = errno;
	report_failure("cannot run", operands->command[0], error);
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

int operands_each(const struct command *self, int argc, char **argv, const char *address,
	int (*one)(
		const struct command *self, struct fdbroker *broker, const char *path, void *data),
	void *data)
{
	struct fdbroker *broker;
	int result = EXIT_DONE;

	if (optind == argc)
		return command_misused(self, "PATH is missing");
	broker = fdbroker_connect(address);
	if (!broker)
		return report_no_connection(self->name, address, errno);
	for (; optind < argc; optind++) {
		if (one(self, broker, argv[optind], data) != EXIT_DONE)
			result = EXIT_FAILED;
	}
	fdbroker_disconnect(broker);
	return report_printed(self->name, result);
}
