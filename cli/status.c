// SPDX-License-Identifier: MIT
/*
 * status.c: the subcommand status: is the broker there, and what does it say of itself.
 *
 * The broker answers with lines "NAME VALUE" and may add names as it likes; so none is known here.
 * What it sends is bytes: they are never printed raw, on a terminal as little as in JSON.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "metrics.h"
#include "report.h"
#include "text.h"

/* Takes the next line "NAME VALUE" off *text. False at the end. */
static bool next_line(char **text, char **name, char **value)
{
	while (**text != '\0') {
		*name = strsep(text, "\n");
		if (!*text)
			*text = *name + strlen(*name);
		if (**name == '\0')
			continue;
		*value = strchr(*name, ' ');
		if (*value)
			*(*value)++ = '\0';
		else
			*value = *name + strlen(*name);
		return true;
	}
	return false;
}

/* Seconds. */
#define PATIENCE 5

/* Lines of a status that are looked at for --metrics. */
#define LINES_MAX 256

static void print_metrics(char *text)
{
	struct metrics_line lines[LINES_MAX];
	size_t count = 0;
	char *name, *value;

	while (count < LINES_MAX && next_line(&text, &name, &value))
		lines[count++] = (struct metrics_line){name, value};
	metrics_print(lines, count);
}

static void print_status(char *text, bool json)
{
	char *name, *value;
	bool first = true;

	if (json)
		putchar('{');
	while (next_line(&text, &name, &value)) {
		if (json) {
			fputs(first ? "" : ", ", stdout);
			text_print(name, strlen(name), TEXT_JSON);
			fputs(": ", stdout);
			if (text_is_number(value))
				fputs(value, stdout);
			else
				text_print(value, strlen(value), TEXT_JSON);
		} else {
			text_print(name, strlen(name), TEXT_ESCAPED);
			printf("%*s", strlen(name) < 12 ? (int)(12 - strlen(name)) : 1, "");
			text_print(value, strlen(value), TEXT_ESCAPED);
			putchar('\n');
		}
		first = false;
	}
	if (json)
		puts("}");
}

/* A broker that is there and does not answer is what whoever asks for its status wants to hear of. */
static void give_up(int number)
{
	static const char text[] =
		"fdbroker: status: connected, but the broker does not answer; see its log\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_FAILED);
}

int command_status(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"metrics", no_argument, NULL, 'm'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	struct fdbroker *broker;
	bool json = false, metrics = false;
	char *text;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		if (value == 'j')
			json = true;
		else if (value == 'm')
			metrics = true;
		else
			address = optarg;
	}
	if (optind < argc)
		return command_misused(self, "it takes no argument `%s`", argv[optind]);
	if (json && metrics)
		return command_misused(self, "it prints --json or --metrics, not both");
	broker = fdbroker_connect(address);
	if (!broker)
		return report_no_connection(self->name, address, errno);
	signal(SIGALRM, give_up);
	alarm(PATIENCE);
	text = fdbroker_status(broker);
	alarm(0);
	if (!text) {
		report_failure(self->name, NULL, errno);
		fdbroker_disconnect(broker);
		return EXIT_FAILED;
	}
	fdbroker_disconnect(broker);
	if (metrics)
		print_metrics(text);
	else
		print_status(text, json);
	free(text);
	return report_printed(self->name, EXIT_DONE);
}
