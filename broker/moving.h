/* SPDX-License-Identifier: MIT */
/*
 * moving.h: names at which something is being moved, over all threads of the worker.
 *
 * renameat2(2) moves whatever has a name at that moment. Who has looked that it is a file, and was allowed to move it
 * as a file alone, needs it to be one still: for that time no other thread puts a directory at the name.
 */
#ifndef BROKER_MOVING_H
#define BROKER_MOVING_H

#include <stdbool.h>
#include <sys/types.h>

/* One thread's. Its memory is the caller's, and the table's between moving_begin and moving_end. */
struct moving {
	struct moving *next;
	unsigned int count;
	struct moving_name {
		dev_t device; /* of the directory that it is in ... */
		ino_t inode;
		const char *name; /* ... which has it as one component */
		bool stays_file;  /* no other thread may put a directory here */
		bool directory;	  /* this one may */
	} names[2];
};

/* Adds a name in `directory` to one that is not begun yet. 0 or a negative errno. */
int moving_add(struct moving *moving, int directory, const char *name, bool stays_file,
	bool directory_may);

/* False, and nothing is begun, where another thread is at one of the names for what rules this one out. Never waits. */
bool moving_begin(struct moving *moving);
void moving_end(struct moving *moving);

#endif
