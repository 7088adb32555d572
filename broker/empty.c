/* SPDX-License-Identifier: MIT */
#include "empty.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <unistd.h>

int empty_mount(void)
{
	int context = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1;

	if (context < 0)
		return -errno;
	if (fsconfig(context, FSCONFIG_SET_STRING, "mode", "0", 0) == 0 &&
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(context, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				MOUNT_ATTR_NOEXEC);
	int error = mount < 0 ? -errno : 0;
	close(context);
	return error ? error : mount;
}
