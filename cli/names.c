// SPDX-License-Identifier: MIT
/*
 * names.c: the subcommands that make, remove and change names: mkdir, rmdir, unlink, rename, link and symlink.
 *
 * Each does what one system call does, and no more: nothing is made or removed on the way, and nothing is asked.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "fdbroker.h"
#include "mode.h"
#include "operands.h"
#include "report.h"

/* ---- one name --------------------------------------------------------------------------------- */

static int mkdir_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	const mode_t *mode = data;

	return fdbroker_mkdir(broker, path, *mode) < 0 ? report_failure(self->name, path, errno)
						       : EXIT_DONE;
}

int command_mkdir(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	mode_t mode = 0777;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		if (value == 's')
			address = optarg;
		else if (mode_parse(self, optarg, &mode) != 0)
			return EXIT_USAGE;
	}
	return operands_each(self, argc, argv, address, mkdir_one, &mode);
}

/* Reads a command line with no options but --socket. The address. */
static const char *parse_socket(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;

	while (command_option(self, argc, argv, options) == 's')
		address = optarg;
	return address;
}

static int rmdir_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	(void)data;
	return fdbroker_rmdir(broker, path) < 0 ? report_failure(self->name, path, errno)
						: EXIT_DONE;
}

int command_rmdir(const struct command *self, int argc, char **argv)
{
	const char *address = parse_socket(self, argc, argv);

	return operands_each(self, argc, argv, address, rmdir_one, NULL);
}

static int unlink_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	(void)data;
	return fdbroker_unlink(broker, path) < 0 ? report_failure(self->name, path, errno)
						 : EXIT_DONE;
}

int command_unlink(const struct command *self, int argc, char **argv)
{
	const char *address = parse_socket(self, argc, argv);

	return operands_each(self, argc, argv, address, unlink_one, NULL);
}

/* ---- two names -------------------------------------------------------------------------------- */

/* Reports what failed about two names, as "OLD to NEW". EXIT_FAILED. */
static int report_both(const struct command *self, const char *one, const char *other, int error)
{
	char *both;

	if (asprintf(&both, "%s to %s", one, other) < 0)
		return report_failure(self->name, one, error);
	int result = report_failure(self->name, both, error);
	free(both);
	return result;
}

/* Does `call` with the two arguments that are left, on a connection to the broker at `address`. */
static int do_both(const struct command *self, int argc, char **argv, const char *address,
	int (*call)(
		struct fdbroker *broker, const char *one, const char *other, unsigned int flags),
	unsigned int flags)
{
	struct fdbroker *broker;
	int result = EXIT_DONE;

	if (optind + 2 != argc)
		return command_misused(self, "it takes two arguments");
	broker = fdbroker_connect(address);
	if (!broker)
		return report_no_connection(self->name, address, errno);
	if (call(broker, argv[optind], argv[optind + 1], flags) < 0)
		result = report_both(self, argv[optind], argv[optind + 1], errno);
	fdbroker_disconnect(broker);
	return result;
}

int command_rename(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"no-replace", no_argument, NULL, 'n'},
		{"exchange", no_argument, NULL, 'e'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	unsigned int flags = 0;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		if (value == 's')
			address = optarg;
		else
			flags |= value == 'n' ? RENAME_NOREPLACE : RENAME_EXCHANGE;
	}
	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return command_misused(self, "--no-replace or --exchange, not both");
	return do_both(self, argc, argv, address, fdbroker_rename2, flags);
}

static int do_link(struct fdbroker *broker, const char *one, const char *other, unsigned int flags)
{
	(void)flags;
	return fdbroker_link(broker, one, other);
}

int command_link(const struct command *self, int argc, char **argv)
{
	const char *address = parse_socket(self, argc, argv);

	return do_both(self, argc, argv, address, do_link, 0);
}

static int do_symlink(
	struct fdbroker *broker, const char *one, const char *other, unsigned int flags)
{
	(void)flags;
	return fdbroker_symlink(broker, one, other);
}

int command_symlink(const struct command *self, int argc, char **argv)
{
	const char *address = parse_socket(self, argc, argv);

	return do_both(self, argc, argv, address, do_symlink, 0);
}
