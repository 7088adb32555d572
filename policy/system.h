/* SPDX-License-Identifier: MIT */
/*
 * system.h: the environment of a policy on a real machine: its files, its users and groups.
 */
#ifndef POLICY_SYSTEM_H
#define POLICY_SYSTEM_H

#include "policy.h"

/* Where an administrator keeps it. */
#define POLICY_DEFAULT_FILE "/etc/fdbroker/policy"

/*
 * Fills in the callbacks and the overflow ids (from /proc/sys/kernel, 65534 where that cannot be
 * read). There is no state but a static buffer for reasons: one load at a time in a process.
 *
 * A file counts only where nobody but root or the effective uid could have written it: it and each
 * directory on the way to it, also by way of symbolic links, belong to one of the two and cannot be
 * written by group or others (root's sticky directories pass). This is checked on what was opened.
 */
void policy_system_environment(struct policy_environment *environment);

#endif
