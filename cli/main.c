// SPDX-License-Identifier: MIT
/*
 * main.c: fdbroker, the administrator's tool: finds the subcommand and runs it.
 *
 * The table is the one place that knows which subcommands there are. Help is printed from it, and
 * the shell completion is checked against that by a test, so a subcommand is added by a line here,
 * its function in a file of its group, and its name in completion/fdbroker. This file must never
 * know what a subcommand does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker-protocol.h"

#define SOCKET_HELP                                                                               \
	"  --socket ADDRESS  the broker: @NAME, /PATH or fd:N; without it $FDBROKER_SOCKET,\n"    \
	"                    else " FDBROKER_DEFAULT_ABSTRACT ", else " FDBROKER_DEFAULT_PATHNAME \
	"\n"

static const struct command commands[] = {
	{"check", command_check, "[--policy FILE] [--privileges] [--json]",
		"say what is wrong with a policy, if anything is",
		"  --policy FILE     the policy; /etc/fdbroker/policy by default\n"
		"  --privileges      also print the rights, capabilities, directories and system calls\n"
		"  --json            print one JSON object for each finding\n"
		"Exits with 0 if there is nothing to say, with 1 after an error or a warning.\n"},
	{"test", command_test, "[--policy FILE] [--json]", "run the expect lines of a policy",
		"  --policy FILE     the policy; /etc/fdbroker/policy by default\n"
		"  --json            print one JSON object for each, and no summary\n"
		"Exits with 0 if all hold, with 1 if not.\n"},
	{"explain", command_explain,
		"[--policy FILE] [--json] (--user USER [OPTION...] RIGHTS PATH | --subject NAME)",
		"say whether a policy allows something, and why",
		"  --policy FILE     the policy; /etc/fdbroker/policy by default\n"
		"  --user USER       who asks, by name or number\n"
		"  --group GROUP     a group they are in besides their own; several times\n"
		"  --exe PATH        the program they run\n"
		"  --unit NAME       the service or scope they run in\n"
		"  --label LABEL     their security label\n"
		"  --via ADDRESS     the socket they come through\n"
		"  --subject NAME    list all rules of one subject instead\n"
		"  --json            print one JSON object, or one for each rule\n"
		"RIGHTS are as in a policy (read,write); for connect or bind PATH is an address.\n"
		"Exits with 0 if it is allowed, with 1 if it is denied.\n"},
	{"fmt", command_fmt, "[--check] FILE...", "lay out policy files in the one canonical way",
		"  --check           change nothing, and print the names of those that would change\n"
		"Exits with 0 if all is done (or nothing would change), with 1 if not.\n"},
	{"open", command_open,
		"[--flags LIST] [--mode OCTAL] [--socket ADDRESS] PATH [-- COMMAND...]",
		"open a file through the broker, for a command or as cat does",
		"  --flags LIST      of read,write,create,excl,trunc,append; read by default\n"
		"  --mode OCTAL      of a file that is created; 0666 less the umask by default\n" SOCKET_HELP
		"COMMAND gets the file as its standard input (read), output (write) or both. Without\n"
		"COMMAND, read copies it to standard output, and write copies standard input to it.\n"},
	{"cat", command_cat, "[--socket ADDRESS] PATH...",
		"copy files, opened through the broker, to standard output", SOCKET_HELP},
	{"stat", command_stat, "[--json] [--no-follow] [--socket ADDRESS] PATH...",
		"say what kind of files they are, of what size, whose",
		"  --json            print one JSON object for each PATH\n"
		"  --no-follow       tell of a symbolic link itself\n" SOCKET_HELP},
	{"access", command_access, "[--read] [--write] [--execute] [--socket ADDRESS] PATH",
		"try whether a file is there and may be read, written, executed",
		"  --read            it may be read\n"
		"  --write           it may be written\n"
		"  --execute         it may be executed\n" SOCKET_HELP
		"Exits with 0 if all of it is so, with 1 if not.\n"},
	{"list", command_list, "[--json] [--long] [--socket ADDRESS] PATH...",
		"print the names in directories",
		"  --json            print one JSON object for each name\n"
		"  --long            mark directories /, symbolic links @, FIFOs | and sockets =\n" SOCKET_HELP},
	{"readlink", command_readlink, "[--socket ADDRESS] PATH...",
		"print what symbolic links say", SOCKET_HELP},
	{"tree", command_tree, "[--write] [--chdir] [--socket ADDRESS] PATH [-- COMMAND...]",
		"open a directory whole, for a command or as list does",
		"  --write           files beneath it are to be written too\n"
		"  --chdir           start COMMAND in it\n" SOCKET_HELP
		"COMMAND gets the directory as the descriptor whose number is in $FDBROKER_TREE, and opens\n"
		"what is beneath with permissions of its own. Without COMMAND, the names in it are printed.\n"},
	{"watch", command_watch, "[--events LIST] [--count N] [--socket ADDRESS] PATH",
		"print what happens to a file or in a directory",
		"  --events LIST     of access, modify, attrib, close-write, close-nowrite, open, moved-from,\n"
		"                    moved-to, create, delete, delete-self, move-self; by default what\n"
		"                    changes something\n"
		"  --count N         end after N lines\n" SOCKET_HELP
		"Ends when the file or directory is gone.\n"},
	{"connect", command_connect, "[--type TYPE] [--socket ADDRESS] ADDRESS [-- COMMAND...]",
		"connect a socket, for a command or as netcat does",
		"  --type TYPE       stream, seqpacket or dgram; as ADDRESS calls for by default\n" SOCKET_HELP
		"ADDRESS is unix:/PATH, unix:@NAME, unix-dgram:/PATH, unix-dgram:@NAME, tcp:IP:PORT or udp:IP:PORT,\n"
		"an IP of version 6 in brackets. COMMAND gets the socket as the descriptor whose number is in\n"
		"$FDBROKER_FD. Without COMMAND, standard input is sent, and what comes is printed.\n"},
	{"bind", command_bind, "[--type TYPE] [--listen] [--socket ADDRESS] ADDRESS -- COMMAND...",
		"bind a socket, for a command",
		"  --type TYPE       stream, seqpacket or dgram; as ADDRESS calls for by default\n"
		"  --listen          listen on it, and pass it in the manner of sd_listen_fds(3)\n" SOCKET_HELP
		"ADDRESS is as for connect. COMMAND gets the socket as the descriptor whose number is in\n"
		"$FDBROKER_FD; with --listen that is 3, and LISTEN_FDS and LISTEN_PID say so too.\n"},
	{"mkdir", command_mkdir, "[--mode OCTAL] [--socket ADDRESS] PATH...", "make directories",
		"  --mode OCTAL      their permissions; 0777 less the umask by default\n" SOCKET_HELP},
	{"rmdir", command_rmdir, "[--socket ADDRESS] PATH...", "remove empty directories",
		SOCKET_HELP},
	{"unlink", command_unlink, "[--socket ADDRESS] PATH...",
		"remove files, and the names of anything but directories", SOCKET_HELP},
	{"rename", command_rename, "[--no-replace] [--exchange] [--socket ADDRESS] OLD NEW",
		"give a file or directory another name",
		"  --no-replace      fail if there is a NEW already\n"
		"  --exchange        give NEW's file the name OLD\n" SOCKET_HELP},
	{"link", command_link, "[--socket ADDRESS] OLD NEW", "give a file a second name",
		SOCKET_HELP},
	{"symlink", command_symlink, "[--socket ADDRESS] TEXT PATH", "make a symbolic link",
		SOCKET_HELP},
	{"chmod", command_chmod, "[--socket ADDRESS] OCTAL PATH...",
		"set the permissions of files and directories", SOCKET_HELP},
	{"utimens", command_utimens,
		"[--accessed TIME] [--modified TIME] [--no-follow] [--socket ADDRESS] PATH...",
		"set the times of files and directories",
		"  --accessed TIME   of the last access\n"
		"  --modified TIME   of the last modification\n"
		"  --no-follow       set those of a symbolic link itself\n" SOCKET_HELP
		"TIME is `now`, @SECONDS since 1970, or as in 2026-01-31T12:00:00Z; either may have\n"
		"nine decimals. What is not given stays as it is; with neither, both become the present.\n"},
	{"log", command_log, "[--file FILE] [--follow] [--json] [FILTER...]",
		"show the broker's record to a person",
		"  --file FILE       the record; " LOG_DEFAULT_FILE
		" by default, - is standard input\n"
		"  --follow          wait for what comes, also in a new file of that name\n"
		"  --uid USER        only what this user asked, by name or number\n"
		"  --subject NAME    only what this subject's callers asked\n"
		"  --verdict LIST    of allow,deny,error,warning\n"
		"  --since TIME      only from then: as 2026-11-20T18:29, in UTC, or as long ago as 30m,\n"
		"                    2h or 1d\n"
		"  --json            print the lines as they are in the record\n"},
	{"status", command_status, "[--json | --metrics] [--socket ADDRESS]",
		"ask the broker about itself (root and the broker's own user only)",
		"  --json            print one JSON object\n"
		"  --metrics         print metrics for Prometheus\n" SOCKET_HELP},
	{"reload", command_reload, "[--socket ADDRESS]",
		"have the broker read its policy again (root and the broker's own user only)",
		SOCKET_HELP
		"Exits with 0 once the new policy is in force, with 1 if it was refused.\n"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_list(FILE *stream)
{
	size_t i;

	fputs("Usage: fdbroker COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n", stream);
	for (i = 0; i < COMMAND_COUNT; i++)
		fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n`fdbroker COMMAND --help` explains one; --version prints the version.\n", stream);
}

/*
 * A standard descriptor that is closed would become the socket to the broker, and what is printed a request.
 * What stands in for it fails as it would: reading from standard input, writing to the others.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_NOCTTY);
}

int main(int argc, char **argv)
{
	size_t i;

	fill_standard_descriptors();

	if (argc < 2) {
		print_list(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		print_list(stdout);
		command_finish_printing();
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("fdbroker " FDBROKER_VERSION);
		command_finish_printing();
	}
	for (i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(&commands[i], argc - 1, argv + 1);
	}
	fprintf(stderr, "fdbroker: there is no command %s; see `fdbroker --help`\n", argv[1]);
	return EXIT_USAGE;
}
