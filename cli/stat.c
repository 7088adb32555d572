// SPDX-License-Identifier: MIT
/*
 * stat.c: the subcommand stat, and what the types of files are called.
 *
 * Uids and gids are printed as numbers only: they are those of the broker's user namespace, and this
 * process's user data base may know somebody else by them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "fdbroker.h"
#include "file-type.h"
#include "operands.h"
#include "report.h"
#include "text.h"

static const struct {
	const char *name, *mark;
	char letter;
} types[] = {
	[DT_UNKNOWN] = {"unknown", "", '?'},
	[DT_FIFO] = {"fifo", "|", 'p'},
	[DT_CHR] = {"chardev", "", 'c'},
	[DT_DIR] = {"directory", "/", 'd'},
	[DT_BLK] = {"blockdev", "", 'b'},
	[DT_REG] = {"regular", "", '-'},
	[DT_LNK] = {"link", "@", 'l'},
	[DT_SOCK] = {"socket", "=", 's'},
};

/* The index of `type`, which may be anything. */
static unsigned int known(unsigned int type)
{
	return type < sizeof(types) / sizeof(types[0]) && types[type].name ? type : DT_UNKNOWN;
}

const char *file_type_name(unsigned int type)
{
	return types[known(type)].name;
}

const char *file_type_mark(unsigned int type)
{
	return types[known(type)].mark;
}

/* ---- parts ------------------------------------------------------------------------------------ */

/* As `ls -l` has it: "-rw-r--r--". */
static void print_mode(unsigned int mode)
{
	static const struct {
		unsigned int special;
		char with, without; /* the right to execute */
	} specials[] = {{S_ISUID, 's', 'S'}, {S_ISGID, 's', 'S'}, {S_ISVTX, 't', 'T'}};
	unsigned int i, bits;

	putchar(types[known(IFTODT(mode))].letter);
	for (i = 0; i < 3; i++) {
		bits = mode >> (6 - 3 * i);
		putchar(bits & 4 ? 'r' : '-');
		putchar(bits & 2 ? 'w' : '-');
		if (mode & specials[i].special)
			putchar(bits & 1 ? specials[i].with : specials[i].without);
		else
			putchar(bits & 1 ? 'x' : '-');
	}
}

/* RFC 3339, in UTC; where there is no such date, "@" and seconds. */
static void print_time(const struct statx_timestamp *when)
{
	const time_t seconds = (time_t)when->tv_sec;
	struct tm parts;
	char date[64];

	if (gmtime_r(&seconds, &parts) && strftime(date, sizeof(date), "%FT%T", &parts) > 0)
		printf("%s.%09" PRIu32 "Z", date, when->tv_nsec);
	else
		printf("@%lld", (long long)when->tv_sec);
}

static bool is_device(const struct statx *status)
{
	return S_ISCHR(status->stx_mode) || S_ISBLK(status->stx_mode);
}

/* The times that there are, each behind its name. */
static void print_times(const struct statx *status, const char *const names[4], const char *before,
	const char *after)
{
	const struct statx_timestamp *times[] = {
		&status->stx_atime, &status->stx_mtime, &status->stx_ctime, &status->stx_btime};
	size_t i;

	for (i = 0; i < 4; i++) {
		if (times[i] == &status->stx_btime && !(status->stx_mask & STATX_BTIME))
			continue;
		printf("%s%s", before, names[i]);
		print_time(times[i]);
		fputs(after, stdout);
	}
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void print_lines(const char *path, const struct statx *status)
{
	static const char *const names[] = {"Access: ", "Modify: ", "Change: ", " Birth: "};

	fputs("  File: ", stdout);
	text_print(path, strlen(path), text_form_of_output());
	printf("\n  Type: %s  Size: %" PRIu64 "  Blocks: %" PRIu64 "\n",
		file_type_name(IFTODT(status->stx_mode)), (uint64_t)status->stx_size,
		(uint64_t)status->stx_blocks);
	printf("  Mode: %04o ", status->stx_mode & 07777u);
	print_mode(status->stx_mode);
	printf("  Uid: %" PRIu32 "  Gid: %" PRIu32 "\n", status->stx_uid, status->stx_gid);
	printf(" Inode: %" PRIu64 "  Links: %" PRIu32 "  Device: %" PRIu32 ":%" PRIu32,
		(uint64_t)status->stx_ino, status->stx_nlink, status->stx_dev_major,
		status->stx_dev_minor);
	if (is_device(status))
		printf("  Node: %" PRIu32 ":%" PRIu32, status->stx_rdev_major,
			status->stx_rdev_minor);
	putchar('\n');
	print_times(status, names, "", "\n");
}

static void print_number(const char *name, uint64_t number)
{
	printf(", \"%s\": ", name);
	text_print_number(number);
}

static void print_json(const char *path, const struct statx *status)
{
	static const char *const names[] = {
		"accessed\": \"", "modified\": \"", "changed\": \"", "born\": \""};

	putchar('{');
	text_print_member("path", path, strlen(path));
	printf(", \"type\": \"%s\", \"mode\": \"%04o\"", file_type_name(IFTODT(status->stx_mode)),
		status->stx_mode & 07777u);
	print_number("uid", status->stx_uid);
	print_number("gid", status->stx_gid);
	print_number("size", status->stx_size);
	print_number("blocks", status->stx_blocks);
	print_number("inode", status->stx_ino);
	print_number("links", status->stx_nlink);
	printf(", \"device\": \"%" PRIu32 ":%" PRIu32 "\"", status->stx_dev_major,
		status->stx_dev_minor);
	if (is_device(status))
		printf(", \"node\": \"%" PRIu32 ":%" PRIu32 "\"", status->stx_rdev_major,
			status->stx_rdev_minor);
	print_times(status, names, ", \"", "\"");
	puts("}");
}

struct stat_request {
	bool json;
	int flags;
};

static int stat_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	const struct stat_request *request = data;
	struct statx status;

	if (fdbroker_statx(broker, path, request->flags, &status) < 0)
		return report_failure(self->name, path, errno);
	(request->json ? print_json : print_lines)(path, &status);
	return EXIT_DONE;
}

int command_stat(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"no-follow", no_argument, NULL, 'n'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct stat_request request = {};
	const char *address = NULL;
	int value;

	while ((value = command_option(self, argc, argv, options)) != -1) {
		switch (value) {
		case 'j':
			request.json = true;
			break;
		case 'n':
			request.flags = AT_SYMLINK_NOFOLLOW;
			break;
		case 's':
			address = optarg;
			break;
		}
	}
	return operands_each(self, argc, argv, address, stat_one, &request);
}
