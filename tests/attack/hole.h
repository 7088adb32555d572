/* SPDX-License-Identifier: MIT */
/* hole.h: what the parts of the worker with a hole (operations-hole.c) have of each other. */
#ifndef TESTS_ATTACK_HOLE_H
#define TESTS_ATTACK_HOLE_H

#include <stdbool.h>

/* Requests' flags: through each directory that the worker holds, change what is in it. */
#define HOLE_OPEN_TO_WRITE 1000 /* with openat2(2), which each worker has */
#define HOLE_CHANGE	   1001 /* with the calls of a worker whose policy has all rights, too */

/* A line "WHAT@AT RESULT", or "WHAT@AT>TO RESULT" where `to` is not negative; errno says why it failed. */
void hole_tell(const char *what, long at, long to, long result);

/* A directory that the worker holds, by a number that is not less. -1: none. */
int hole_directory(int from);

/* openat2(2), with nothing that keeps it from leaving. */
long hole_open(int at, const char *path, int flags);

/* Tries to change the files "f" and "g" of that directory, and what is beside them. Directories are told by their inodes. */
void hole_change(int at, bool all);

#endif
