/* SPDX-License-Identifier: MIT */
/*
 * clone.h: makes one view, for the maker. The only place that calls the mount system calls on
 * the directories of the policy.
 *
 * A descriptor carries more than its access mode: whoever holds a read-only one may reopen it
 * through /proc/self/fd with whatever the file's own mode allows, and a directory's holder may walk
 * on from it. What stops this is the mount that the file was opened through. So each directory is
 * cloned into a mount of its own with the attributes of the grant, and the clone is then dissolved:
 * its root is opened with O_PATH and the descriptor that open_tree(2) gave is closed. From then on
 * it belongs to no mount namespace, and nobody can change its attributes, mount it or clone it
 * again, even as root of a user namespace; opening beneath its root goes on working. While any copy
 * of the first descriptor lives, all of that is possible: so nothing here may fork, and a view that
 * fails the test of it is not used.
 *
 * Where it can be, a view is not dissolved at once but attached in a mount namespace of its own (home.h): that is
 * nobody's namespace, so nobody can do any of it there either.
 */
#ifndef BROKER_CLONE_H
#define BROKER_CLONE_H

#include <stdint.h>

struct homes;

/* What a view allows beyond reading. Every view is nosuid and nodev. */
enum view_attribute {
	VIEW_WRITABLE = 1u << 0, /* else read-only */
	VIEW_EXEC = 1u << 1,	 /* else noexec */
	VIEW_CHARDEV = 1u << 2,	 /* such devices beneath it may be asked for (clone_open_device) */
	VIEW_BLOCKDEV = 1u << 3, /* likewise */
	VIEW_IDMAP = 1u << 4,	 /* ids in it are not those on disk (idmap.h) */
	VIEW_PLAIN = 1u << 5,	 /* in an answer: it is no view, but the directory itself */
	VIEW_FOLDS = 1u << 6,	 /* likewise: names fold on its way (names.h) */
	VIEW_PROMPT = 1u << 7,	 /* likewise: its file system answers at once (prompt.h) */
};
/* Of those that a view is made with. */
#define VIEW_KINDS 4

/*
 * Makes a view of `directory`, which was opened with O_PATH and stays the caller's, with `attributes`
 * (enum view_attribute) and, unless `namespace` is -1, the ids of that user namespace. Returns an O_PATH
 * descriptor, close-on-exec, the caller's; or a negative errno: -EINVAL (a file system in it cannot be idmapped),
 * -EPERM (no CAP_SYS_ADMIN), -ENOSYS (the kernel is older than 5.12), -ENOTRECOVERABLE (the clone could still be
 * changed when it should not have been).
 *
 * Unless `homes` is NULL, *home is the view's home, the caller's, which keeps it attached while it is open; or -1
 * where it could not have one, which is no fault: the view is dissolved.
 */
int clone_directory(
	int directory, uint32_t attributes, int namespace, struct homes *homes, int *home);

/*
 * Opens the device node `relative` (canonical, relative) beneath `directory` with `flags`, as if in a view of it
 * with `attributes` in which devices can be opened, through no symbolic link; what it was opened in becomes nodev
 * before this returns, so that it cannot be opened again through /proc. The device, close-on-exec, the caller's;
 * or a negative errno: -EACCES where it is no device of a type in `attributes`, and those of openat2(2).
 */
int clone_open_device(int directory, uint32_t attributes, const char *relative, int flags);

#endif
