/* SPDX-License-Identifier: MIT */
/*
 * settle.h: a worker asks the supervisor what a client's process runs and which unit it belongs to, for the
 * `exe` and `unit` lines of a policy. Both ends of that conversation, which has a socket of its own, so that
 * the worker may wait for an answer without missing what else it is told.
 *
 *	worker, loading		EXE (index, path)		each path that the policy names
 *	worker, any time	IDENTIFY (a pidfd)	-> IDENTIFY (index) for each that the process runs
 *							-> IDENTIFY (index SETTLE_LAST, error,
 *							   "UNIT\nCOMM")
 */
#ifndef BROKER_SETTLE_H
#define BROKER_SETTLE_H

#include "channel.h"
#include "process.h"

#include <stdbool.h>
#include <stdint.h>

#define SETTLE_LAST UINT32_MAX
/* Programs that a policy may name. */
#define SETTLE_EXES_MAX 1024

/* ---- the supervisor's end ---- */

struct settle_exes {
	char *paths[SETTLE_EXES_MAX];
	uint32_t count;
};

/* Forgets the paths of the worker before. */
void settle_forget(struct settle_exes *exes);

/*
 * Answers an EXE or an IDENTIFY that came over `channel`; its descriptor stays the caller's. `loading` says
 * whether the worker may still name paths. 0, or a negative errno: the worker is gone, or is not itself.
 */
int settle_answer(
	int channel, bool loading, struct settle_exes *exes, const struct channel_message *message);

/* ---- the worker's end ---- */

struct settled {
	const char *exes[SETTLE_EXES_MAX];
	size_t exe_count;
	char unit[PROCESS_UNIT_MAX]; /* "" where it has none */
	char comm[PROCESS_COMM_MAX]; /* "" where it is not known */
};

/* Names the policy's paths to the supervisor. 0 or a negative errno: -E2BIG, -ENAMETOOLONG. */
int settle_name_exes(int channel, const char *const *exes, size_t count);

/*
 * Finds out about the process at the other end of `socket`. `exes` are those of settle_name_exes. A process that
 * is gone, or that nothing can be found out about, has no exe and no unit: 0 too. -ENOPROTOOPT where the kernel
 * does not know SO_PEERPIDFD; other negative errnos mean that the supervisor is gone.
 */
int settle_ask(
	int channel, int socket, const char *const *exes, size_t count, struct settled *settled);

/* Whether this kernel has what it takes: 0, or -ENOPROTOOPT (before Linux 6.5). */
int settle_possible(void);

#endif
