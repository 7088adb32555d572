/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h: the files of a policy as they were when it was loaded, so that a worker that takes the place of one
 * that died has the same policy, and not what is in the files by then, which may be half written.
 *
 * While a worker loads, what it reads and what its globs find is copied into a piece of memory. The supervisor keeps
 * that, without looking into it, and gives it to the next worker, which reads it in place of the files. Who may own
 * and change a file was checked when it was copied. The worker hands its copy over before it hears from any
 * client, so nobody whom a client has taken over has had a hand in it. Users and groups are looked up afresh.
 */
#ifndef BROKER_SNAPSHOT_H
#define BROKER_SNAPSHOT_H

#include "clock.h"
#include "policy.h"

#include <stddef.h>

struct snapshot;

/* When the files were read, or are: for a person, and as clock_ms. */
struct snapshot_time {
	char stamp[CLOCK_STAMP];
	int64_t ms;
};

/* One to be filled, with CHANNEL_SNAPSHOT_MAX bytes at most: a policy with more is not loaded. NULL with errno. */
struct snapshot *snapshot_record(void);

/*
 * One to be read from. `file` is the snapshot's from then on. NULL with errno, and the file still the caller's:
 * EPROTONOSUPPORT where another version of the daemon has made it, in a form that this one does not know.
 */
struct snapshot *snapshot_replay(int file);

/* Puts it between the loader and the files. `environment` must be filled in, and is copied. */
void snapshot_wrap(struct snapshot *snapshot, struct policy_environment *environment);

/* All has been read. The descriptor to be handed over (sealed.h), which stays the snapshot's, or a negative errno. */
int snapshot_finish(struct snapshot *snapshot);

struct snapshot_time snapshot_time(const struct snapshot *snapshot);

void snapshot_free(struct snapshot *snapshot);

#endif
