/* SPDX-License-Identifier: MIT */
/*
 * watch.h: opens a directory by its path, for the maker, and watches every step of the way, so that the
 * worker hears of it when the path comes to mean another directory.
 *
 * inotify(7) reports a rename, a deletion and a creation before the system call that does it returns: a
 * request that is sent afterwards is read after the event. The directory itself is not watched: its own deletion would
 * be reported late, while a view pins it, and whatever else changes what the path means happens in those above it.
 */
#ifndef BROKER_WATCH_H
#define BROKER_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Directories on the way to one, the root included. */
#define WATCH_DEPTH_MAX 256

/*
 * The watches on the way of one path: descriptors[i] is that of its first i components. Another thread may look at
 * them while a walk adds to them.
 */
struct watches {
	_Atomic int
		count; /* how many there are: fewer than the path is deep where it leads nowhere */
	int descriptors[WATCH_DEPTH_MAX];
	bool fold; /* names fold in a directory on the way (names.h) */
};

/*
 * Who ends watches that nobody seems to need increments `ending` before it looks who does and again when it is done:
 * a walk that added one meanwhile, which may be just that one (a directory has one watch, whoever adds it), adds it
 * again. Even: nobody is at it.
 */
struct watcher {
	int inotify;
	_Atomic unsigned int ending;
};

/*
 * Opens the directory `path` (canonical) with O_PATH, through no symbolic link, with each directory on its way
 * watched as far as the way goes. Of a walk that was overtaken, `abandon` gets the watches. May hang for as long
 * as a file system on the way does. The descriptor, or a negative errno: -ENOENT, -ENOTDIR, -ELOOP (a symbolic
 * link), -ENAMETOOLONG (deeper than WATCH_DEPTH_MAX), -ENOSPC (fs.inotify.max_user_watches), -EAGAIN (it changed
 * all the time).
 */
int watch_directory(struct watcher *watcher, const char *path, struct watches *watches,
	void (*abandon)(void *context, const struct watches *watches), void *context);

/* Opens it in the same way, and watches nothing. */
int watch_open(const char *path);

#endif
