/* SPDX-License-Identifier: MIT */
/*
 * settle.h: a worker asks the maker what a client's process runs and which unit it belongs to, for the `exe` and
 * `unit` lines of a policy. Both ends of that conversation.
 *
 *	worker, loading		EXE (index, path)		each path that the policy names
 *	worker, any time	IDENTIFY (index: a client's number; his socket, vouch.h)
 *						-> IDENTIFY (error; the text: the indexes of those that the
 *							   process runs, as "3 17", a newline, the unit, a newline
 *							   and what the process calls itself)
 */
#ifndef BROKER_SETTLE_H
#define BROKER_SETTLE_H

#include "process.h"
#include "questions.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Programs that a policy may name. */
#define SETTLE_EXES_MAX 1024

/* ---- the maker's end ---- */

/* Of those, look-ups that may hang at once. */
#define SETTLE_HANGING_MAX 8

struct settle_exes {
	struct settle_exe {
		char *path;
		bool asked; /* a thread looks it up, and may hang */
		/* Which file it was, when it was looked up last; if it ever was. */
		bool known;
		dev_t device;
		ino_t inode;
	} list[SETTLE_EXES_MAX];
	uint32_t count;
	pthread_mutex_t mutex; /* of what is not the paths */
	unsigned int asking;
};

void settle_init(struct settle_exes *exes);

/* Notes an EXE. 0, or a negative errno where this is nothing that a worker says. */
int settle_remember(struct settle_exes *exes, const struct channel_message *message);

/*
 * Puts the answer to an IDENTIFY in its place, and closes its descriptor. `vouched`: vouch.h. May hang on the file system of a program that
 * the policy names, in which case others go by what the program was when it was looked up last. 0 or a negative errno.
 */
int settle_answer(struct settle_exes *exes, int vouched, struct channel_message *message);

/* ---- the worker's end ---- */

struct settled {
	const char *exes[SETTLE_EXES_MAX];
	size_t exe_count;
	char unit[PROCESS_UNIT_MAX]; /* "" where it has none */
	char comm[PROCESS_COMM_MAX]; /* "" where it is not known */
};

/* Names the policy's paths to the maker. 0 or a negative errno: -E2BIG, -ENAMETOOLONG. */
int settle_name_exes(struct questions *questions, const char *const *exes, size_t count);

/*
 * Finds out about the process at the other end of `socket`, the one of the client of that number. `exes` are those of settle_name_exes. A process that
 * is gone, or that nothing can be found out about, has no exe and no unit: 0 too. -ENOPROTOOPT where the kernel
 * does not know SO_PEERPIDFD; -ETIMEDOUT where finding
 * out hangs; other negative errnos mean that the maker is gone.
 */
int settle_ask(struct questions *questions, int socket, uint32_t number, const char *const *exes,
	size_t count, struct settled *settled);

/* Whether this kernel has what it takes: 0, or -ENOPROTOOPT (before Linux 6.5). */
int settle_possible(void);

#endif
