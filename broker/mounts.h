/* SPDX-License-Identifier: MIT */
/*
 * mounts.h: which mounts a path depends on, so that a view is made anew when one of them comes, goes or
 * changes, and not when others do. Reads the text of /proc/self/mountinfo (proc(5)); pure.
 */
#ifndef BROKER_MOUNTS_H
#define BROKER_MOUNTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * A number that stands for the mounts in `text` on which, or beneath which, `path` lies, and those beneath
 * `path`: their order, identity and options. It changes when any of them does.
 */
uint64_t mounts_signature(const char *text, const char *path);

/* How many mounts there are in `text`. */
size_t mounts_count(const char *text);

/* A number that stands for the place of the mount in `text` on which `path` lies. */
uint64_t mounts_place(const char *text, const char *path);

/* The whole of an open mountinfo file, from its start, in memory to be freed; NULL with errno. */
char *mounts_read(int file);

#endif
