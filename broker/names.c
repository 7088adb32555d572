/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of statfs(2). Not all are in the headers. */
static const uint32_t folding[] = {
	MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
	FUSE_SUPER_MAGIC, HPFS_SUPER_MAGIC, ADFS_SUPER_MAGIC, AFFS_SUPER_MAGIC, ISOFS_SUPER_MAGIC,
	V9FS_MAGIC, 0x7366746e, /* ntfs3 */
	0x5346544e,		/* ntfs */
	0x482b,			/* hfsplus */
	0x4244,			/* hfs */
	0x3153464a,		/* jfs */
	0x786f4256,		/* vboxsf */
	0xbacbacbc,		/* vmhgfs */
};

/* Those that fold in the directories that are marked so (chattr +F). */
static const uint32_t marked[] = {EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};

static bool is_one(const uint32_t *types, size_t count, uint32_t type)
{
	for (size_t i = 0; i < count; i++)
		if (types[i] == type)
			return true;
	return false;
}

/* Whether a directory of such a file system is marked. */
static bool is_marked(int directory)
{
	int flags = 0;
	/* The worker has no openat(2). */
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
	int file = (int)syscall(SYS_openat2, directory, ".", &how, sizeof(how));

	if (file < 0)
		return true;
	bool known = ioctl(file, FS_IOC_GETFLAGS, &flags) == 0;
	close(file);
	/* Without such flags there is no mark. */
	return known && (flags & FS_CASEFOLD_FL);
}

bool names_fold(int directory)
{
	struct statfs system;

	if (fstatfs(directory, &system) < 0)
		return true;
	uint32_t type = (uint32_t)system.f_type;
	if (is_one(folding, sizeof(folding) / sizeof(folding[0]), type))
		return true;
	return is_one(marked, sizeof(marked) / sizeof(marked[0]), type) && is_marked(directory);
}
