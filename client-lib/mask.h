/* SPDX-License-Identifier: MIT */
/* mask.h: the calling thread's umask. */
#ifndef CLIENT_MASK_H
#define CLIENT_MASK_H

#include <sys/types.h>

#define MASK_UNKNOWN 0077 /* what is assumed where it cannot be found out: nothing for others */

/*
 * Returns the calling thread's umask without changing it, not even for a moment. About 10 µs by way
 * of /proc; without /proc, by a thread of its own, several times that. Leaves errno undefined.
 */
mode_t mask_get(void);

/* The permissions in `mode` less the umask: what is to be asked for. It is no cancellation point. */
mode_t mask_apply(mode_t mode);

/* The two ways, for the tests: 0 and *mask, or a negative errno. */
int mask_from_proc(mode_t *mask);
int mask_from_thread(mode_t *mask);

#endif
