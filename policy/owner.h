/* SPDX-License-Identifier: MIT */
/*
 * owner.h: who could have changed a file of the policy, or put another in its place. A policy counts only where
 * that is root or the effective uid alone.
 */
#ifndef POLICY_OWNER_H
#define POLICY_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* What is looked at. */
enum owner_of {
	OWNER_FILE,
	OWNER_LINK,   /* a symbolic link on the way to it */
	OWNER_WAY,    /* a directory on the way to it */
	OWNER_HOLDER, /* the directory that it is in */
};

/*
 * Whether the user namespace of this process maps one uid alone, which outside of it is not root's: that of a
 * private broker, in which being root is to be oneself and nobody else has a number (user_namespaces(7)).
 */
bool owner_alone(void);

/* The kernel's uid for everybody who is not mapped (/proc/sys/kernel/overflowuid; 65534 if it cannot be read). */
uid_t owner_overflow_uid(void);

/*
 * Whether nobody but root and the effective uid could have changed what `status` is of, which is called `name` ("" for
 * the file itself). Where not, writes why not, for "FILE ...", into the `size` bytes at `reason`.
 *
 * Where owner_alone(), a directory on the way may also belong to somebody who is not mapped, since / and /tmp do: the
 * namespace cannot tell root from another there. It must be writable by its owner alone, or sticky. The file, the
 * directory that it is in and the links on the way must still be one's own, so that whoever it is can take the
 * policy away, but bring no other.
 */
bool owner_counts(
	const struct stat *status, enum owner_of what, const char *name, char *reason, size_t size);

#endif
