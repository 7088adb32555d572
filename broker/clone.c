/* SPDX-License-Identifier: MIT */
#include "clone.h"

#include "views.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opens the directory itself, through no link: what is cloned is what the policy's text says. */
static int open_directory(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long directory = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return directory < 0 ? -errno : (int)directory;
}

/* 0 if nobody can change the mount of `view` any more. */
static int test_dissolved(int view)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	if (mount_setattr(view, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 || errno != EINVAL)
		return -ENOTRECOVERABLE;
	return 0;
}

int clone_directory(const char *path, uint32_t attributes)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	int directory = open_directory(path);
	int tree, view, error = 0;

	if (directory < 0)
		return directory;
	/* Recursive: else the files hidden under the mounts beneath would be served. */
	tree = open_tree(
		directory, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		error = -errno;
	close(directory);
	if (error)
		return error;

	if (!(attributes & VIEW_WRITABLE))
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (!(attributes & VIEW_EXEC))
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	view = -1;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		error = -errno;
	else if ((view = openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		error = -errno;
	close(tree);
	if (!error)
		error = test_dissolved(view);
	if (!error)
		return view;
	if (view >= 0)
		close(view);
	return error;
}
