/* SPDX-License-Identifier: MIT */
/* command.h: what a subcommand is, and what each may use of the tool around it. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

/* Exit codes of every subcommand; those that say more are in its own documentation. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

struct command {
	const char *name;
	/* argv[0] is the subcommand's name, and getopt(3) is set to begin. Returns the exit code.
	 */
	int (*run)(const struct command *self, int argc, char **argv);
	const char *usage;   /* what follows "fdbroker NAME" */
	const char *summary; /* one line, for the list */
	const char *help;    /* lines on options and the like, each with its newline */
};

/* The subcommands. Each is a line of the table in main.c and a function elsewhere. */
int command_open(const struct command *self, int argc, char **argv);
int command_cat(const struct command *self, int argc, char **argv);
int command_stat(const struct command *self, int argc, char **argv);
int command_access(const struct command *self, int argc, char **argv);
int command_list(const struct command *self, int argc, char **argv);
int command_readlink(const struct command *self, int argc, char **argv);
int command_mkdir(const struct command *self, int argc, char **argv);
int command_rmdir(const struct command *self, int argc, char **argv);
int command_unlink(const struct command *self, int argc, char **argv);
int command_rename(const struct command *self, int argc, char **argv);
int command_link(const struct command *self, int argc, char **argv);
int command_symlink(const struct command *self, int argc, char **argv);
int command_chmod(const struct command *self, int argc, char **argv);
int command_utimens(const struct command *self, int argc, char **argv);
int command_tree(const struct command *self, int argc, char **argv);
int command_connect(const struct command *self, int argc, char **argv);
int command_bind(const struct command *self, int argc, char **argv);
int command_watch(const struct command *self, int argc, char **argv);
int command_check(const struct command *self, int argc, char **argv);
int command_test(const struct command *self, int argc, char **argv);
int command_explain(const struct command *self, int argc, char **argv);
int command_fmt(const struct command *self, int argc, char **argv);
int command_log(const struct command *self, int argc, char **argv);
int command_status(const struct command *self, int argc, char **argv);
int command_reload(const struct command *self, int argc, char **argv);

/* The record that `log` reads unless told otherwise. */
#define LOG_DEFAULT_FILE "/var/log/fdbroker.log"

/*
 * getopt_long(3) with what every subcommand has in common: --help is printed and ends the program
 * with 0; an unknown option or a missing argument is reported and ends it with EXIT_USAGE. Options
 * end at the first other argument. Returns the option's `val`, or -1.
 */
struct option;
int command_option(const struct command *self, int argc, char **argv, const struct option *options);

/* Every subcommand's `options` ends with this line instead of zeroes alone. */
#define COMMAND_HELP_VALUE 'h'
#define COMMAND_COMMON_OPTIONS                           \
	{"help", no_argument, NULL, COMMAND_HELP_VALUE}, \
	{                                                \
		NULL, 0, NULL, 0                         \
	}

/* Ends the program after what it was asked to print: with 0, unless that could not be written. */
__attribute__((noreturn)) void command_finish_printing(void);

/* Reports a usage error in one line, which names the remedy. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int command_misused(
	const struct command *self, const char *format, ...);

#endif
