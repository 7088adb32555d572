// SPDX-License-Identifier: MIT
/*
 * reload.c: the subcommand reload: has the broker read its policy again.
 *
 * A script goes by the exit status, a person by the text, which is the broker's: it says what is wrong
 * with a policy that was refused. It is never printed raw.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "report.h"
#include "text.h"

/* How it went: `error` is 0 or an errno, `message` what the broker said, or NULL. Returns the exit code. */
static int report_reload(const struct command *self, const char *message, int error)
{
	if (message)
		text_print_lines(error == 0 ? stdout : stderr, message);
	if (error == 0)
		return report_printed(self->name, EXIT_DONE);
	report_failure(self->name, NULL, error);
	/* Nobody knows otherwise: the broker may have been at it when it went away. */
	if (message)
		fputs("fdbroker: reload: the policy that was in force goes on serving\n", stderr);
	return EXIT_FAILED;
}

int command_reload(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	struct fdbroker *broker;
	char *message;
	int error, result;

	while (command_option(self, argc, argv, options) != -1)
		address = optarg;
	if (optind < argc)
		return command_misused(self, "it takes no argument `%s`", argv[optind]);
	broker = fdbroker_connect(address);
	if (!broker)
		return report_no_connection(self->name, address, errno);
	error = fdbroker_reload(broker, &message) < 0 ? errno : 0;
	fdbroker_disconnect(broker);
	result = report_reload(self, message, error);
	free(message);
	return result;
}
