/* SPDX-License-Identifier: MIT */
/*
 * become.h: a process becomes a caller, as others see it: its uid, its gid and its groups, all of them. It keeps the
 * few capabilities that reaching what was granted takes: the rule grants it, whatever the caller could reach himself.
 *
 * It runs in a child of a process with threads: so nothing here allocates or takes a lock, and the system calls are
 * made bare, since those of libc would have every thread of the parent's follow.
 */
#ifndef BROKER_BECOME_H
#define BROKER_BECOME_H

#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t group_count;
};

/*
 * 0 or a negative errno: -EPERM without the privilege to become another; -ESRCH where `parent`, who made this process and
 * with whom it ends, has ended already. The caller can see of the process in /proc
 * what he sees of his own, signal it and so end it; he can neither trace it nor take its descriptors, since it has
 * capabilities that he has not.
 */
int become(const struct identity *identity, pid_t parent);

#endif
