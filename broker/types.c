/* SPDX-License-Identifier: MIT */
#include "types.h"

#include "policy.h"

#include <sys/stat.h>

bool type_granted(mode_t mode, uint32_t types)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return true;
	case S_IFCHR:
		return types & POLICY_TYPE_CHARDEV;
	case S_IFBLK:
		return types & POLICY_TYPE_BLOCKDEV;
	case S_IFIFO:
		return types & POLICY_TYPE_FIFO;
	}
	return false;
}
