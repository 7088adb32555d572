/* SPDX-License-Identifier: MIT */
#include "prompt.h"

#include <linux/magic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

/* Of statfs(2). Not all are in the headers. */
static const uint32_t prompt[] = {
	EXT4_SUPER_MAGIC, /* and ext2, ext3 */
	XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC, RAMFS_MAGIC,
	SQUASHFS_MAGIC, EROFS_SUPER_MAGIC_V1, MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC,
	0x2fc12fc1, /* zfs */
	0xca451a4e, /* bcachefs */
};

bool prompt_is(int file)
{
	struct statfs system;

	if (fstatfs(file, &system) < 0)
		return false;
	for (size_t i = 0; i < sizeof(prompt) / sizeof(prompt[0]); i++)
		if (prompt[i] == (uint32_t)system.f_type)
			return true;
	return false;
}
