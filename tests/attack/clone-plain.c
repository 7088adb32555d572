/* SPDX-License-Identifier: MIT */
/* A broker that makes no views: what the holder's attacks must succeed against, to be worth anything. */
#include "clone.h"

#include <errno.h>
#include <fcntl.h>

int clone_directory(
	int directory, uint32_t attributes, int namespace, struct homes *homes, int *home)
{
	(void)attributes;
	(void)namespace;
	(void)homes;
	(void)home;
	int view = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return view < 0 ? -errno : view;
}

int clone_open_device(int directory, uint32_t attributes, const char *relative, int flags)
{
	(void)attributes;
	int device = openat(directory, relative, flags | O_CLOEXEC);
	return device < 0 ? -errno : device;
}
