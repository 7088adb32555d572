// SPDX-License-Identifier: MIT
/*
 * follow.c: see follow.h.
 *
 * Files are looked at five times a second: no report of the kernel's tells of all that can become of a name (on a
 * network file system it tells nothing).
 */
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES (1u << 20)
#define PAUSE	       200 /* ms */
#define GRACE	       5   /* pauses */

struct follow {
	const char *path; /* NULL: standard input */
	bool wait;
	int file;
	unsigned int
		replaced;   /* how often another file with something in it was seen at the path */
	size_t start, used; /* what is in the buffer */
	bool cutting;	    /* the rest of a line that was too long is passed over */
	char buffer[LINE_MAX_BYTES + 1];
};

struct follow *follow_open(const char *path, bool wait)
{
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return NULL;
	follow->wait = wait;
	follow->path = strcmp(path, "-") == 0 ? NULL : path;
	follow->file = follow->path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
	if (follow->file < 0) {
		int error = errno;
		free(follow);
		errno = error;
		return NULL;
	}
	return follow;
}

void follow_close(struct follow *follow)
{
	if (follow->path)
		close(follow->file);
	free(follow);
}

/* Takes a line that is whole off the buffer. */
static bool take_line(struct follow *follow, char **line, size_t *length)
{
	for (;;) {
		char *start = follow->buffer + follow->start;
		char *end = memchr(start, '\n', follow->used - follow->start);
		bool cut = follow->cutting;

		if (!end)
			return false;
		follow->start = (size_t)(end + 1 - follow->buffer);
		follow->cutting = false;
		if (cut)
			continue;
		*end = '\0';
		*line = start;
		*length = (size_t)(end - start);
		return true;
	}
}

/* Takes what there is, which is no whole line. False where there is nothing. */
static bool take_rest(struct follow *follow, char **line, size_t *length)
{
	bool any = follow->used > follow->start && !follow->cutting;

	*line = follow->buffer + follow->start;
	*length = follow->used - follow->start;
	follow->buffer[follow->used] = '\0';
	follow->start = follow->used = 0;
	follow->cutting = false;
	return any;
}

/*
 * At the end of the file: whether there is another one at the path, which whoever writes has begun to write to. The
 * old one is left a second later, after having been read to its end once more: not all who write may have changed.
 */
static bool is_replaced(struct follow *follow)
{
	struct stat there, ours;

	if (!follow->path || stat(follow->path, &there) < 0 || fstat(follow->file, &ours) < 0)
		return false;
	if ((there.st_dev == ours.st_dev && there.st_ino == ours.st_ino) || there.st_size == 0) {
		follow->replaced = 0;
		return false;
	}
	return ++follow->replaced > GRACE;
}

static void open_anew(struct follow *follow)
{
	int file = open(follow->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (file < 0)
		return;
	close(follow->file);
	follow->file = file;
	follow->replaced = 0;
}

static void start_if_cut(struct follow *follow)
{
	struct stat status;
	off_t at = lseek(follow->file, 0, SEEK_CUR);

	if (at > 0 && fstat(follow->file, &status) == 0 && status.st_size < at) {
		lseek(follow->file, 0, SEEK_SET);
		follow->start = follow->used = 0;
		follow->cutting = false;
	}
}

/* At the end of what there is: waits. False where it is the end. */
static bool wait_for_more(struct follow *follow)
{
	const struct timespec pause = {.tv_nsec = PAUSE * 1000000L};

	/* A pipe's end is its end. */
	if (!follow->wait || lseek(follow->file, 0, SEEK_CUR) < 0)
		return false;
	start_if_cut(follow);
	fflush(stdout);
	nanosleep(&pause, NULL);
	return true;
}

int follow_line(struct follow *follow, char **line, size_t *length)
{
	while (!take_line(follow, line, length)) {
		follow->used -= follow->start;
		memmove(follow->buffer, follow->buffer + follow->start, follow->used);
		follow->start = 0;
		if (follow->used == LINE_MAX_BYTES) {
			bool first = take_rest(follow, line, length);
			follow->cutting = true;
			if (first)
				return 1;
			continue;
		}
		ssize_t got = read(
			follow->file, follow->buffer + follow->used, LINE_MAX_BYTES - follow->used);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			follow->used += (size_t)got;
		if (got != 0)
			continue;
		if (follow->wait && is_replaced(follow)) {
			open_anew(follow);
			if (take_rest(follow, line, length))
				return 1;
		} else if (!wait_for_more(follow)) {
			return take_rest(follow, line, length);
		}
	}
	return 1;
}
