/* SPDX-License-Identifier: MIT */
#include "clone.h"

#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a worker may ask a device to be opened with. */
#define DEVICE_FLAGS (O_ACCMODE | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_APPEND)

/* How often, a millisecond apart, a clone is made that somebody else still has a copy of. */
#define TRIES 50

/* 0 if nobody can change the mount of `view` any more: this process, which is in no namespace with it, least of all. */
static int test_unchangeable(int view)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	if (mount_setattr(view, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 || errno != EINVAL)
		return -ENOTRECOVERABLE;
	return 0;
}

/* Clones the directory and sets the attributes. The tree's descriptor, with *view its root. */
static int make_tree(int directory, uint64_t set, int namespace, int *view)
{
	/* Private at once: kernels differ in whether what is mounted beneath the original while the clone is not yet
	 * dissolved comes into it as well, without the attributes. */
	struct mount_attr attr = {.attr_set = set, .propagation = MS_PRIVATE};
	/* Recursive: else the files hidden under the mounts beneath would be served. */
	int tree = open_tree(
		directory, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int error = 0;

	if (tree < 0)
		return -errno;
	if (namespace >= 0) {
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t) namespace;
	}
	*view = -1;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		error = -errno;
	else if ((*view = openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		error = -errno;
	if (error)
		close(tree);
	return error ? error : tree;
}

static uint64_t attributes_to_set(uint32_t attributes)
{
	return MOUNT_ATTR_NOSUID | (attributes & VIEW_WRITABLE ? 0 : MOUNT_ATTR_RDONLY) |
	       (attributes & VIEW_EXEC ? 0 : MOUNT_ATTR_NOEXEC);
}

/* Dissolves the clone. 0, or a negative errno and then `view` is not to be used. */
static int dissolve(int tree, int view)
{
	close(tree);
	return test_unchangeable(view);
}

static int try_clone(int directory, uint32_t attributes, int namespace)
{
	int view;
	int tree = make_tree(
		directory, attributes_to_set(attributes) | MOUNT_ATTR_NODEV, namespace, &view);

	if (tree < 0)
		return tree;
	int error = dissolve(tree, view);
	if (error)
		close(view);
	return error ? error : view;
}

/* A view with a home. A copy of the tree's descriptor, in a fork, is no harm: it has been moved from there. */
static int try_home(
	int directory, uint32_t attributes, int namespace, struct homes *homes, int *home)
{
	int view;
	int tree = make_tree(
		directory, attributes_to_set(attributes) | MOUNT_ATTR_NODEV, namespace, &view);

	if (tree < 0)
		return tree;
	*home = home_give(homes, tree);
	int error = *home < 0 ? *home : 0;
	close(tree);
	if (!error)
		error = test_unchangeable(view);
	if (!error)
		return view;
	close(view);
	if (*home >= 0)
		close(*home);
	*home = -1;
	return error;
}

int clone_directory(
	int directory, uint32_t attributes, int namespace, struct homes *homes, int *home)
{
	int view = homes ? try_home(directory, attributes, namespace, homes, home) : -1;

	/* What failed there is no view any more; whether a dissolved one does is tried afresh. */
	if (view < 0)
		view = try_clone(directory, attributes, namespace);
	/* Another thread has forked while the clone was made; the child closes what is not its own, or ends. */
	for (int i = 0; view == -ENOTRECOVERABLE && i < TRIES; i++) {
		usleep(1000);
		view = try_clone(directory, attributes, namespace);
	}
	return view;
}

static bool is_device(int node, uint32_t attributes)
{
	struct stat status;

	if (fstat(node, &status) < 0)
		return false;
	return (S_ISCHR(status.st_mode) && (attributes & VIEW_CHARDEV)) ||
	       (S_ISBLK(status.st_mode) && (attributes & VIEW_BLOCKDEV));
}

/* Nobody else ever has `view`, in which devices can be opened: nothing but one of them leaves here. */
static int open_node(int view, uint32_t attributes, const char *relative, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags & DEVICE_FLAGS) | O_CLOEXEC | O_NONBLOCK |
			 O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	struct open_how look = {.flags = O_PATH | O_CLOEXEC, .resolve = how.resolve};
	long node = syscall(SYS_openat2, view, relative, &look, sizeof(look));

	if (node < 0)
		return -errno;
	bool device = is_device((int)node, attributes);
	close((int)node);
	if (!device)
		return -EACCES;
	node = syscall(SYS_openat2, view, relative, &how, sizeof(how));
	if (node < 0)
		return -errno;
	/* It may have been exchanged between the two. */
	if (!is_device((int)node, attributes)) {
		close((int)node);
		return -EACCES;
	}
	return (int)node;
}

int clone_open_device(int directory, uint32_t attributes, const char *relative, int flags)
{
	struct mount_attr nodev = {.attr_set = MOUNT_ATTR_NODEV};
	int view, error = 0;
	int tree = make_tree(directory, attributes_to_set(attributes), -1, &view);

	if (tree < 0)
		return tree;
	int device = open_node(view, attributes, relative, flags);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &nodev, sizeof(nodev)) < 0)
		error = -errno;
	int failed = dissolve(tree, view);
	/* As with a view; but a device is not opened twice, which may do something to it. */
	for (int i = 0; failed == -ENOTRECOVERABLE && i < TRIES; i++) {
		usleep(1000);
		failed = test_unchangeable(view);
	}
	close(view);
	if (!error)
		error = failed;
	if (error && device >= 0)
		close(device);
	return error ? error : device;
}
