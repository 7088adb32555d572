/* SPDX-License-Identifier: MIT */
/* empty.h: a place with nothing in it, for processes and threads that are to have no file system. */
#ifndef BROKER_EMPTY_H
#define BROKER_EMPTY_H

/*
 * Makes a mount of an empty, read-only tmpfs that is attached nowhere. Takes CAP_SYS_ADMIN. Its descriptor,
 * close-on-exec, the caller's: closing it dissolves the mount, if it has not been attached. Or a negative errno.
 */
int empty_mount(void);

#endif
