/* SPDX-License-Identifier: MIT */
/*
 * home.h: mount namespaces in which views stay attached, each alone in one of its own, with nobody in it.
 *
 * A view that is dissolved (clone.h) belongs to no mount namespace. With one that belongs to some namespace as little
 * can be done by those who are not in it; but it is quicker: closing what was opened through a dissolved mount counts
 * its users up, over all processors, which costs about a tenth of a bare open.
 *
 * One thread of the maker makes these namespaces, in one of its own that holds nothing but an empty tmpfs: each is a
 * copy of that with the view mounted on its root, and the thread is out of it again before anybody has the view. What
 * keeps it is a descriptor, the view's home; when the last copy of that is closed, the view is dissolved.
 *
 * - One view to each: on the root of the same namespace they would lie on top of each other, and `..` leads from the
 *   root of a mount to what lies on top of it.
 * - Only a view without mounts beneath: with the namespace those would be taken off it, and whoever still holds the
 *   view would see what they hide.
 */
#ifndef BROKER_HOME_H
#define BROKER_HOME_H

#include <stddef.h>

struct homes;

/*
 * Starts the thread. NULL where there cannot be homes: without CAP_SYS_ADMIN and CAP_SYS_CHROOT, where the root is no
 * mount point (a chroot), without procfs. Views are dissolved then. `begin`, unless it is NULL, is what the thread does
 * first; where it does not return 0 there are none either.
 */
struct homes *home_start(int (*begin)(void));

/*
 * Attaches `tree`, a clone that open_tree(2) gave, in a namespace of its own. Any thread may call it. The namespace's
 * descriptor, close-on-exec, the caller's to close, which takes a moment; or a negative errno, and then the clone is
 * spoilt, since mounts may have been taken off it: -EBUSY (there are mounts beneath), -EMFILE (half of the
 * descriptors that this process may have are in use: the rest is for making views), -ENOSPC
 * (user.max_mnt_namespaces), -EIO (the thread has ended).
 */
int home_give(struct homes *homes, int tree);

/*
 * Closes `count` homes, and frees the list of them, in a thread of its own: who closes the last descriptor of a file
 * system that was unmounted unmounts it, which may hang.
 */
void home_close(int *list, size_t count);

#endif
