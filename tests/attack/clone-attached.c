/* SPDX-License-Identifier: MIT */
/* A broker whose views are not dissolved: the descriptor of open_tree(2) stays open. */
#include "clone.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

int clone_directory(
	int directory, uint32_t attributes, int namespace, struct homes *homes, int *home)
{
	(void)namespace;
	(void)homes;
	(void)home;
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    (attributes & VIEW_WRITABLE ? 0 : MOUNT_ATTR_RDONLY) |
			    (attributes & VIEW_EXEC ? 0 : MOUNT_ATTR_NOEXEC),
	};
	int tree = open_tree(
		directory, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 ||
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	int view = openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return view < 0 ? -errno : view;
}
