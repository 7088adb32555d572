/* SPDX-License-Identifier: MIT */
/*
 * confine.h: what a worker gives up, in this order, after it has loaded and before it hears from a
 * client.
 *
 * Each step returns 0 or a negative errno; a worker for which one fails must not go on.
 */
#ifndef BROKER_CONFINE_H
#define BROKER_CONFINE_H

#include "privileges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Gives up all supplementary groups. While /proc can be read: a user namespace may forbid it. */
int confine_groups(void);

/*
 * Leaves the file system: the root and the working directory become an empty, read-only tmpfs that
 * is mounted nowhere. Nothing lies beneath it and nothing above it. Takes CAP_SYS_ADMIN and
 * CAP_SYS_CHROOT.
 */
int confine_root(void);

/*
 * Becomes the user `uid` and the group `gid` for good, with just the
 * capabilities `capabilities` (bits by number, capabilities(7)) and no way to gain any: none in the
 * bounding set, no_new_privs, not dumpable.
 *
 * A worker of uid 0 would own and thereby write root's files without any capability: 0 is -EINVAL, but
 * where the namespace is one's own `alone` (owner_alone, policy/owner.h): that "root" is an ordinary user, there is
 * no other to become, and its capabilities count for nothing but its own files.
 */
int confine_user(uid_t uid, gid_t gid, bool alone, uint64_t capabilities);

/*
 * For a worker that stays the user who started the daemon: of its capabilities it keeps those of `capabilities` that
 * it has, and has no way to gain any; no_new_privs, not dumpable.
 */
int confine_same_user(uint64_t capabilities);

/*
 * For a supervisor or a maker: gives up the capabilities that it does not need (policy/privileges.h). The supervisor
 * leaves what is left to those whom it executes, whoever they run as. no_new_privs, not dumpable.
 */
int confine_capable(enum privilege_process process);

/* For a thread of a maker: gives up what a policy with these needs (policy/privileges.h) does not call for. */
int confine_maker(uint32_t needs);

/* Bytes that the names of all capabilities there are have room in. */
#define CONFINE_TEXT 1024
/* The capabilities in effect, as "CAP_CHOWN CAP_KILL"; "none". Cut to `size` bytes. */
void confine_describe(char *text, size_t size);

/* The capabilities that using `rights` (enum policy_right) on other people's files takes. */
uint64_t confine_capabilities(uint32_t rights);

#endif
