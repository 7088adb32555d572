/* SPDX-License-Identifier: MIT */
/* hole-change.c: how a worker would write where it was given something to read. */
#include "hole.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long number_of(int at)
{
	struct stat status;

	return fstat(at, &status) == 0 ? (long)status.st_ino : 0;
}

static void open_to_write(int at)
{
	static const struct {
		const char *what, *name;
		int flags;
	} ways[] = {
		{"write", "f", O_WRONLY},
		{"read and write", "f", O_RDWR},
		{"truncate", "f", O_WRONLY | O_TRUNC},
		{"append", "f", O_WRONLY | O_APPEND},
		{"create", "hole-new", O_WRONLY | O_CREAT | O_EXCL},
		{"create nameless", ".", O_RDWR | O_TMPFILE},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		long file = hole_open(at, ways[i].name, ways[i].flags);
		hole_tell(ways[i].what, number_of(at), -1, file);
		if (file >= 0)
			close((int)file);
	}
}

/* By the attributes of a file that is open, which takes no more than reading. */
static void change_attributes(int at)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	int file = (int)hole_open(at, "f", O_RDONLY);
	long number = number_of(at);

	hole_tell("chmod", number, -1, fchmod(file, 0600));
	hole_tell("utimens", number, -1, futimens(file, times));
	hole_tell("chown", number, -1, fchownat(at, "f", geteuid(), (gid_t)-1, 0));
	close(file);
}

static void change_names(int at)
{
	long number = number_of(at);

	hole_tell("mkdir", number, -1, mkdirat(at, "hole-directory", 0700));
	hole_tell("symlink", number, -1, symlinkat("f", at, "hole-symlink"));
	hole_tell("rename", number, -1, syscall(SYS_renameat2, at, "g", at, "hole-renamed", 0));
	hole_tell(
		"rename back", number, -1, syscall(SYS_renameat2, at, "hole-renamed", at, "g", 0));
}

/* Into a directory where it may write, and out of one. */
static void move(int from, int to)
{
	long one = number_of(from), other = number_of(to);
	char name[32];

	snprintf(name, sizeof(name), "hole-link-%d-%d", from, to);
	hole_tell("link", one, other, linkat(from, "f", to, name, 0));
	snprintf(name, sizeof(name), "hole-moved-%d-%d", from, to);
	hole_tell("move", one, other, syscall(SYS_renameat2, from, "g", to, name, 0));
	hole_tell("move back", one, other, syscall(SYS_renameat2, to, name, from, "g", 0));
}

void hole_change(int at, bool all)
{
	open_to_write(at);
	if (!all)
		return;
	change_attributes(at);
	change_names(at);
	for (int to = hole_directory(0); to >= 0; to = hole_directory(to + 1))
		if (to != at)
			move(at, to);
	hole_tell("unlink", number_of(at), -1, unlinkat(at, "g", 0));
}
