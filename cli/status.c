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
#include "report.h"

/* The length of the UTF-8 character at `text`, as RFC 3629 allows them; 0 where there is none. */
static size_t utf8_length(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;
	size_t length, i;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
		(byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
		return 0;
	return length;
}

/*
 * Prints `text` without control characters, C1 among them, and without what is not UTF-8; for JSON
 * in quotes, as RFC 8259 has it.
 */
static void print_text(const char *text, bool json)
{
	size_t length;

	if (json)
		putchar('"');
	for (; *text != '\0'; text += length) {
		unsigned char byte = (unsigned char)*text;

		length = utf8_length(text);
		if (length == 0) {
			printf(json ? "\\ufffd" : "\\x%02x", byte);
			length = 1;
		} else if (byte < ' ' || byte == 0x7f) {
			printf(json ? "\\u%04x" : "\\x%02x", byte);
		} else if (length == 2 && byte == 0xc2 && (unsigned char)text[1] < 0xa0) {
			printf(json ? "\\u%04x" : "\\x%02x", (unsigned char)text[1]);
		} else {
			if (json && (byte == '"' || byte == '\\'))
				putchar('\\');
			fwrite(text, 1, length, stdout);
		}
	}
	if (json)
		putchar('"');
}

/* Whether it can stand in JSON as a number: a whole one that every reader keeps exactly. */
static bool is_number(const char *text)
{
	size_t digits;

	if (*text == '-')
		text++;
	digits = strspn(text, "0123456789");
	return text[digits] == '\0' && digits >= 1 && digits <= 15 &&
	       (text[0] != '0' || digits == 1);
}

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

static void print_status(char *text, bool json)
{
	char *name, *value;
	bool first = true;

	if (json)
		putchar('{');
	while (next_line(&text, &name, &value)) {
		if (json) {
			fputs(first ? "" : ", ", stdout);
			print_text(name, true);
			fputs(": ", stdout);
			if (is_number(value))
				fputs(value, stdout);
			else
				print_text(value, true);
		} else {
			print_text(name, false);
			printf("%*s", strlen(name) < 12 ? (int)(12 - strlen(name)) : 1, "");
			print_text(value, false);
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
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	struct fdbroker *broker;
	bool json = false;
	char *text;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		if (value == 'j')
			json = true;
		else
			address = optarg;
	}
	if (optind < argc)
		return command_misused(self, "it takes no argument `%s`", argv[optind]);
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
	print_status(text, json);
	free(text);
	if (fflush(stdout) != 0 || ferror(stdout))
		return report_failure(self->name, "standard output", errno);
	return EXIT_DONE;
}
