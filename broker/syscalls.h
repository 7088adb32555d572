/* SPDX-License-Identifier: MIT */
/*
 * syscalls.h: which system calls a process may make, from here on and for good: it, its threads, its children, and
 * whatever it executes. Which they are: policy/privileges.h.
 *
 * A call that is not allowed is not made. The process writes one line to the record, which names the call, and ends by
 * SIGSYS. What an attacker could do against that he may not: the handler of that signal cannot be replaced, and with the
 * signal blocked the kernel ends the process itself.
 */
#ifndef BROKER_SYSCALLS_H
#define BROKER_SYSCALLS_H

#include "privileges.h"

/* Of a build with sanitizers, or with the coverage of tests, which make calls of their own. */
#ifdef FDBROKER_UNCONFINED
#define SYSCALLS_CONFINED false
#else
#define SYSCALLS_CONFINED true
#endif

struct syscalls_confinement {
	enum privilege_process process;
	uint32_t rights; /* what the policy calls for; of no account to the supervisor */
	bool again;	 /* for a maker: fewer than before, and for all of its threads */
	bool same_user; /* others of the broker's processes have this one's uid, and could be sent signals */
	int log; /* for the line of the record */
};

/*
 * Puts the process under its allow-list, or the supervisor under the list of what it is denied. To be called once,
 * while there is one thread, with no_new_privs; and by a maker `again` when it knows what it will need. `count` is how many calls were named. 0 or a negative errno, and then the
 * process is not confined and must not go on. In a build without it (SYSCALLS_CONFINED), nothing happens.
 */
int syscalls_confine(const struct syscalls_confinement *confinement, unsigned int *count);

#endif
