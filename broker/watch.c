/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * What can happen to the next name on the way. What becomes of the directory at its end happens to its name, in the one
 * before it.
 */
#define ON_THE_WAY (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

/* How often a way that changes while it is walked is walked again. */
#define TRIES 10

static int open_step(int directory, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long next = syscall(SYS_openat2, directory, name, &how, sizeof(how));

	return next < 0 ? -errno : (int)next;
}

static int add_watch(struct watcher *watcher, int directory, struct watches *watches)
{
	char name[32];
	int at = watches->count;
	unsigned int ending;

	/* It takes a name; this one means the very directory that is open. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", directory);
	do {
		while ((ending = watcher->ending) & 1)
			sched_yield();
		int watch = inotify_add_watch(watcher->inotify, name, ON_THE_WAY | IN_ONLYDIR);
		if (watch < 0)
			return -errno;
		watches->descriptors[at] = watch;
		watches->count = at + 1;
	} while (watcher->ending != ending);
	return 0;
}

/* Walks the way once. The directory, or a negative errno with the watches up to where it ends. */
static int walk(struct watcher *watcher, const char *path, struct watches *watches)
{
	char name[256];
	int directory = open_step(AT_FDCWD, "/");
	int error;

	watches->count = 0;
	watches->fold = false;
	while (directory >= 0) {
		if (path[0] == '\0' || (path[0] == '/' && path[1] == '\0'))
			return directory;
		error = add_watch(watcher, directory, watches);
		/* In this one the next name is looked up. */
		watches->fold = watches->fold || names_fold(directory);
		size_t length = strcspn(++path, "/");
		if (!error && (watches->count == WATCH_DEPTH_MAX || length >= sizeof(name)))
			error = -ENAMETOOLONG;
		int next = error;
		if (!error) {
			memcpy(name, path, length);
			name[length] = '\0';
			path += length;
			next = open_step(directory, name);
		}
		close(directory);
		directory = next;
	}
	return directory;
}

static bool same(int one, int other)
{
	struct statx a, b;

	return statx(one, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &a) == 0 &&
	       statx(other, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &b) == 0 &&
	       a.stx_ino == b.stx_ino && a.stx_mnt_id == b.stx_mnt_id;
}

int watch_open(const char *path)
{
	return open_step(AT_FDCWD, path);
}

int watch_directory(struct watcher *watcher, const char *path, struct watches *watches,
	void (*abandon)(void *context, const struct watches *watches), void *context)
{
	/* A step may have changed before it was watched. What the path means when all are, counts. */
	for (int i = 0; i < TRIES; i++) {
		int directory = walk(watcher, path, watches);
		int again = open_step(AT_FDCWD, path);
		bool settled = directory < 0 ? again < 0 : again >= 0 && same(directory, again);
		if (again >= 0)
			close(again);
		if (settled || directory == -ENOSPC || directory == -ENAMETOOLONG)
			return directory;
		if (directory >= 0)
			close(directory);
		struct watches given_up = *watches;
		watches->count = 0;
		abandon(context, &given_up);
	}
	return -EAGAIN;
}
