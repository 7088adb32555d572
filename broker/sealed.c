/* SPDX-License-Identifier: MIT */
#include "sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Linux 6.3; some systems insist on it (vm.memfd_noexec), older kernels do not know it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

int sealed_new(const char *name)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int file = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	if (file < 0 && errno == EINVAL)
		file = memfd_create(name, flags);
	return file < 0 ? -errno : file;
}

int sealed_write(int file, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length) {
		ssize_t written = write(file, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

int sealed_close(int file)
{
	return fcntl(file, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

ssize_t sealed_length(int file, size_t most)
{
	struct stat status;
	int seals = fcntl(file, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(file, &status) < 0)
		return -EINVAL;
	return (size_t)status.st_size > most ? -EFBIG : status.st_size;
}
