// SPDX-License-Identifier: MIT
/*
 * tree.c: the subcommand tree: a directory, handed to a command whole.
 *
 * What is beneath the directory the command opens itself, with its own permissions; the broker is not
 * asked again, and this file must never do anything there that the command could not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "operands.h"
#include "report.h"
#include "text.h"

#define TREE_VARIABLE "FDBROKER_TREE"

struct tree_request {
	const char *socket;
	struct operands operands;
	int flags;
	bool enter;
};

static int parse_options(const struct command *self, int argc, char **argv, void *data)
{
	static const struct option options[] = {
		{"write", no_argument, NULL, 'w'},
		{"chdir", no_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct tree_request *request = data;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		switch (value) {
		case 'w':
			request->flags = O_RDWR;
			break;
		case 'c':
			request->enter = true;
			break;
		case 's':
			request->socket = optarg;
			break;
		}
	}
	return 0;
}

/* Becomes COMMAND, with the directory as a descriptor of any number. Returns only if that fails. */
static int run_command(const struct command *self, const struct tree_request *request, int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	if (fcntl(fd, F_SETFD, 0) < 0 || setenv(TREE_VARIABLE, number, 1) < 0 ||
		(request->enter && fchdir(fd) < 0)) {
		report_failure(self->name, request->operands.path, errno);
		return EXIT_CANNOT_RUN;
	}
	return operands_execute(&request->operands);
}

static int print_names(const struct command *self, const struct tree_request *request, int fd)
{
	const enum text_form form = text_form_of_output();
	/* Whatever kind of descriptor the broker's is, this one reads. */
	int readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = readable < 0 ? NULL : fdopendir(readable);
	struct dirent *entry;
	int error = errno;

	if (!directory) {
		if (readable >= 0)
			close(readable);
		return report_failure(self->name, request->operands.path, error);
	}
	errno = 0;
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			text_print(entry->d_name, strlen(entry->d_name), form);
			putchar('\n');
		}
		errno = 0;
	}
	error = errno;
	closedir(directory);
	if (error)
		return report_failure(self->name, request->operands.path, error);
	return report_printed(self->name, EXIT_DONE);
}

int command_tree(const struct command *self, int argc, char **argv)
{
	struct tree_request request = {.flags = O_RDONLY};
	struct fdbroker *broker;
	int result, fd, error;

	result = operands_parse(self, argc, argv, parse_options, &request, &request.operands);
	if (result != 0)
		return result;
	if (request.enter && !request.operands.command)
		return command_misused(self, "--chdir needs a COMMAND after --");
	broker = fdbroker_connect(request.socket);
	if (!broker)
		return report_no_connection(self->name, request.socket, errno);
	fd = fdbroker_tree(broker, request.operands.path, request.flags);
	error = errno;
	fdbroker_disconnect(broker);
	if (fd < 0)
		return report_failure(self->name, request.operands.path, error);
	result = request.operands.command ? run_command(self, &request, fd)
					  : print_names(self, &request, fd);
	close(fd);
	return result;
}
