/* SPDX-License-Identifier: MIT */
/*
 * view DIRECTORY UID home|dissolved: what the holder of a view's own descriptor can make of it. Makes a read-only view
 * of DIRECTORY, with a home or without, then, as UID and as root of a user and mount namespace, tries to write
 * DIRECTORY/f by it. Prints the name of each attack and what became of it; exits with the number of those that
 * succeeded, 98 where the view has no home, which is what becomes of one with mounts beneath.
 */
#include "clone.h"
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int successes;

static void report(const char *attack, int result)
{
	printf("%s: %s\n", attack, result < 0 ? strerrorname_np(errno) : "succeeded");
	if (result >= 0)
		successes++;
}

/* Opens the file for writing, through the descriptor of a directory. */
static int write_beneath(int directory)
{
	int file = openat(directory, "f", O_WRONLY | O_CLOEXEC);

	if (file >= 0 && write(file, "overwritten\n", 12) != 12)
		return -1;
	return file;
}

static int put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = (ssize_t)strlen(text);

	if (file < 0 || write(file, text, (size_t)length) != length)
		return -1;
	return close(file);
}

static int become_namespace_root(uid_t uid)
{
	char map[32];

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -1;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -1;
	return put("/proc/self/setgroups", "deny") || put("/proc/self/uid_map", map) ||
	       put("/proc/self/gid_map", map);
}

static void attack(int view, const char *target)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	int tree;

	report("write", write_beneath(view));
	report("mount_setattr", mount_setattr(view, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
	report("mount_setattr recursive",
		mount_setattr(view, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)));
	report("write after mount_setattr", write_beneath(view));
	tree = open_tree(view, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE);
	report("open_tree", tree);
	if (tree >= 0) {
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
		report("write through a clone", write_beneath(tree));
	}
	report("move_mount", move_mount(view, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}

/* The holder has the view's descriptor and nothing else of who made it. */
static int hold(int view, const char *target, uid_t uid)
{
	dup2(view, 3);
	close_range(4, UINT_MAX, 0);
	if (become_namespace_root(uid) < 0) {
		perror("no user namespace");
		return 77;
	}
	attack(3, target);
	return successes;
}

int main(int argc, char **argv)
{
	int home = -1, status;

	if (argc != 4)
		return 99;
	struct homes *homes = strcmp(argv[3], "home") == 0 ? home_start(NULL) : NULL;
	int view = clone_directory(
		open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC), 0, -1, homes, &home);
	if (view < 0) {
		fprintf(stderr, "no view: %s\n", strerror(-view));
		return 99;
	}
	if (strcmp(argv[3], "home") == 0 && home < 0)
		return 98;
	pid_t holder = fork();
	if (holder == 0)
		exit(hold(view, argv[1], (uid_t)atoi(argv[2])));
	if (holder < 0 || waitpid(holder, &status, 0) < 0 || !WIFEXITED(status))
		return 99;
	return WEXITSTATUS(status);
}
