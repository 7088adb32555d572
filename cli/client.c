// SPDX-License-Identifier: MIT
/*
 * client.c: the subcommands that open files: open and cat.
 *
 * They are ordinary clients: they do what any program that uses the library could, and they must
 * never need a privilege of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "copy.h"
#include "fdbroker.h"
#include "mode.h"
#include "operands.h"
#include "report.h"

struct open_request {
	const char *socket;
	struct operands operands;
	int flags;
	mode_t mode;
	bool has_mode;
};

/* ---- the command line -------------------------------------------------------------------------
 */

/* Reads a list such as "write,create". Returns 0 or EXIT_USAGE. */
static int parse_flags(const struct command *self, const char *list, int *flags)
{
	static const struct {
		const char *name;
		int value;
	} names[] = {
		{"create", O_CREAT},
		{"excl", O_EXCL},
		{"trunc", O_TRUNC},
		{"append", O_APPEND},
	};
	bool reads = false, writes = false;
	size_t i;

	*flags = 0;
	for (;;) {
		const char *end = strchrnul(list, ',');
		size_t length = (size_t)(end - list);
		bool known = true;

		if (length == 4 && strncmp(list, "read", length) == 0) {
			reads = true;
		} else if (length == 5 && strncmp(list, "write", length) == 0) {
			writes = true;
		} else {
			known = false;
			for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
				if (strlen(names[i].name) == length &&
					strncmp(list, names[i].name, length) == 0) {
					*flags |= names[i].value;
					known = true;
				}
			}
		}
		if (!known)
			return command_misused(self,
				"`%.*s` is no flag: read, write, create, excl, trunc, append are",
				(int)length, list);
		if (*end == '\0')
			break;
		list = end + 1;
	}
	if (!reads && !writes)
		return command_misused(self, "--flags needs read, write or both");
	if ((*flags & O_EXCL) && !(*flags & O_CREAT))
		return command_misused(self, "excl needs create");
	if ((*flags & (O_TRUNC | O_APPEND)) && !writes)
		return command_misused(self, "trunc and append need write");
	*flags |= reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
	return 0;
}

/* Reads options up to the first other argument, to which optind then points. 0 or EXIT_USAGE. */
static int parse_options(const struct command *self, int argc, char **argv, void *data)
{
	static const struct option options[] = {
		{"flags", required_argument, NULL, 'f'},
		{"mode", required_argument, NULL, 'm'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct open_request *request = data;
	int value, error = 0;

	while (error == 0 && (value = command_option(self, argc, argv, options)) != -1) {
		switch (value) {
		case 'f':
			error = parse_flags(self, optarg, &request->flags);
			break;
		case 'm':
			error = mode_parse(self, optarg, &request->mode);
			request->has_mode = true;
			break;
		case 's':
			request->socket = optarg;
			break;
		}
	}
	return error;
}

/* Reads the command line of `open`. Returns 0 or EXIT_USAGE. */
static int parse_open(
	const struct command *self, int argc, char **argv, struct open_request *request)
{
	int error = operands_parse(self, argc, argv, parse_options, request, &request->operands);

	if (error != 0)
		return error;
	if (request->has_mode && !(request->flags & O_CREAT))
		return command_misused(self, "--mode needs create among the --flags");
	if (!request->operands.command && (request->flags & O_ACCMODE) == O_RDWR)
		return command_misused(self, "to read and write, give a COMMAND after --");
	return 0;
}

/* ---- open -------------------------------------------------------------------------------------
 */

/* Becomes COMMAND, with `fd` as its standard input, output or both. Returns only if that fails. */
static int run_command(const struct command *self, const struct open_request *request, int fd)
{
	const bool reads = (request->flags & O_ACCMODE) != O_WRONLY;
	const bool writes = (request->flags & O_ACCMODE) != O_RDONLY;

	if ((reads && dup2(fd, STDIN_FILENO) < 0) || (writes && dup2(fd, STDOUT_FILENO) < 0)) {
		report_failure(self->name, request->operands.path, errno);
		return EXIT_CANNOT_RUN;
	}
	/* Where the shell had closed one of them, the file came in its place, close-on-exec. */
	if ((reads && fd == STDIN_FILENO) || (writes && fd == STDOUT_FILENO))
		fcntl(fd, F_SETFD, 0);
	else
		close(fd);
	return operands_execute(&request->operands);
}

/* Copies the whole of `fd` to standard output, or standard input to it, and closes it. */
static int copy_file(const struct command *self, const struct open_request *request, int fd)
{
	const char *path = request->operands.path;
	int result;

	if ((request->flags & O_ACCMODE) == O_RDONLY)
		result = copy_all(self->name, fd, path, STDOUT_FILENO, "standard output");
	else
		result = copy_all(self->name, STDIN_FILENO, "standard input", fd, path);
	/* Some filesystems tell only now that a write had no room (close(2)). */
	if (close(fd) < 0 && result == EXIT_DONE)
		result = report_failure(self->name, path, errno);
	return result;
}

int command_open(const struct command *self, int argc, char **argv)
{
	struct open_request request = {.flags = O_RDONLY, .mode = 0666};
	struct fdbroker *broker;
	int result = parse_open(self, argc, argv, &request);
	int fd;

	if (result != 0)
		return result;
	broker = fdbroker_connect(request.socket);
	if (!broker)
		return report_no_connection(self->name, request.socket, errno);
	fd = fdbroker_open(broker, request.operands.path, request.flags, request.mode);
	if (fd < 0) {
		result = report_failure(self->name, request.operands.path, errno);
	} else {
		/* The broker has done its part; let it forget this client before the work begins.
		 */
		fdbroker_disconnect(broker);
		broker = NULL;
		result = request.operands.command ? run_command(self, &request, fd)
						  : copy_file(self, &request, fd);
	}
	fdbroker_disconnect(broker);
	return result;
}

/* ---- cat --------------------------------------------------------------------------------------
 */

static int cat_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	struct open_request *request = data;
	int fd = fdbroker_open(broker, path, request->flags);

	request->operands.path = path;
	return fd < 0 ? report_failure(self->name, path, errno) : copy_file(self, request, fd);
}

int command_cat(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct open_request request = {.flags = O_RDONLY};

	while (command_option(self, argc, argv, options) == 's')
		request.socket = optarg;
	return operands_each(self, argc, argv, request.socket, cat_one, &request);
}
