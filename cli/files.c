// SPDX-License-Identifier: MIT
/*
 * files.c: the subcommands that tell about names: access, list and readlink.
 *
 * Names are anybody's bytes. To a terminal they go escaped, to a program as they are, one to a line:
 * a program that must not take a newline in a name for its end asks for JSON.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "file-type.h"
#include "operands.h"
#include "report.h"
#include "text.h"

/* ---- access ----------------------------------------------------------------------------------- */

int command_access(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"read", no_argument, NULL, 'r'},
		{"write", no_argument, NULL, 'w'},
		{"execute", no_argument, NULL, 'x'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	struct fdbroker *broker;
	int value, mode = F_OK;
	int result = EXIT_DONE;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		if (value == 's')
			address = optarg;
		else
			mode |= value == 'r' ? R_OK : value == 'w' ? W_OK : X_OK;
	}
	/* Its exit status is the answer, so it is one answer. */
	if (optind + 1 != argc)
		return command_misused(self, optind == argc ? "PATH is missing" : "one PATH only");
	broker = fdbroker_connect(address);
	if (!broker)
		return report_no_connection(self->name, address, errno);
	if (fdbroker_access(broker, argv[optind], mode) < 0)
		result = report_failure(self->name, argv[optind], errno);
	fdbroker_disconnect(broker);
	return result;
}

/* ---- list ------------------------------------------------------------------------------------- */

struct list_request {
	bool json, marked;
	bool headed; /* each directory's names follow a line with its path */
	bool begun;  /* one was printed already */
	enum text_form form;
};

static void print_entry(
	const struct list_request *request, const char *path, const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	if (!request->json) {
		text_print(entry->d_name, length, request->form);
		if (request->marked)
			fputs(file_type_mark(entry->d_type), stdout);
		putchar('\n');
		return;
	}
	putchar('{');
	text_print_member("directory", path, strlen(path));
	fputs(", ", stdout);
	text_print_member("name", entry->d_name, length);
	printf(", \"type\": \"%s\", \"inode\": ", file_type_name(entry->d_type));
	text_print_number(entry->d_ino);
	puts("}");
}

static int list_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	struct fdbroker_dir *directory = fdbroker_opendir(broker, path);
	struct list_request *request = data;
	struct dirent *entry;
	int error;

	if (!directory)
		return report_failure(self->name, path, errno);
	if (request->headed) {
		if (request->begun)
			putchar('\n');
		text_print(path, strlen(path), request->form);
		puts(":");
		request->begun = true;
	}
	errno = 0;
	while ((entry = fdbroker_readdir(directory))) {
		print_entry(request, path, entry);
		/* Printing may have changed it, and the end does not. */
		errno = 0;
	}
	error = errno;
	fdbroker_closedir(directory);
	return error ? report_failure(self->name, path, error) : EXIT_DONE;
}

int command_list(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"long", no_argument, NULL, 'l'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct list_request request = {.form = text_form_of_output()};
	const char *address = NULL;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		switch (value) {
		case 'j':
			request.json = true;
			break;
		case 'l':
			request.marked = true;
			break;
		case 's':
			address = optarg;
			break;
		}
	}
	request.headed = !request.json && argc - optind > 1;
	return operands_each(self, argc, argv, address, list_one, &request);
}

/* ---- readlink --------------------------------------------------------------------------------- */

static int readlink_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	const enum text_form *form = data;
	char text[PATH_MAX];
	ssize_t length = fdbroker_readlink(broker, path, text, sizeof(text));

	if (length < 0)
		return report_failure(self->name, path, errno);
	text_print(text, (size_t)length, *form);
	putchar('\n');
	return EXIT_DONE;
}

int command_readlink(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	enum text_form form = text_form_of_output();
	const char *address = NULL;

	while (command_option(self, argc, argv, options) == 's')
		address = optarg;
	return operands_each(self, argc, argv, address, readlink_one, &form);
}
