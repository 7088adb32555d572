/* SPDX-License-Identifier: MIT */
/*
 * landlock.h: a further belt for a worker, by option: it denies itself what its policy's rights do not take
 * (policy/accesses.h), wherever, and whatever descriptors it comes to have. A filter of system calls does not see which
 * way a file is opened (openat2(2) has its flags behind a pointer); Landlock does.
 */
#ifndef BROKER_LANDLOCK_H
#define BROKER_LANDLOCK_H

#include "accesses.h"

/* The version of Landlock's interface that the kernel has; -ENOSYS or -EOPNOTSUPP where it is not there, or not on. */
int landlock_version(void);

/* 0, or -1 after one line on standard error: there is none to be put on. */
int landlock_check(void);

/*
 * Denies the calling thread, and those that it makes from here on, `denied`: what its kernel has, for all of it is refused
 * otherwise. To be called with no_new_privs, while there is one thread. 0 or a negative errno.
 */
int landlock_restrict(const struct accesses *denied);

#endif
