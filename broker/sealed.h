/* SPDX-License-Identifier: MIT */
/*
 * sealed.h: a piece of memory with a descriptor, which is written once and changes no more (memfd_create(2)).
 */
#ifndef BROKER_SEALED_H
#define BROKER_SEALED_H

#include <stddef.h>
#include <sys/types.h>

/* A new one, close-on-exec, to be written to. `name` is for whoever looks into /proc. Or a negative errno. */
int sealed_new(const char *name);

/* Writes all of it. 0 or a negative errno. */
int sealed_write(int file, const void *bytes, size_t length);

/* From here on nobody can change it, whoever has a descriptor of it. 0 or a negative errno. */
int sealed_close(int file);

/* How long it is; -EINVAL where it is none that has been closed, -EFBIG where it has more than `most` bytes. */
ssize_t sealed_length(int file, size_t most);

#endif
