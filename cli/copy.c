// SPDX-License-Identifier: MIT
/*
 * copy.c: what cat(1) does, for descriptors that came from the broker.
 *
 * Plain read and write: they work on whatever kind of file either side is. It must never report
 * success for bytes that were not taken.
 */
#include "copy.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "command.h"
#include "report.h"

static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, data, length);

		if (done >= 0) {
			data += done;
			length -= (size_t)done;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int copy_all(const char *action, int from, const char *from_name, int to, const char *to_name)
{
	static char buffer[128 * 1024];
	ssize_t length;
	int error;

	for (;;) {
		length = read(from, buffer, sizeof(buffer));
		if (length == 0)
			return EXIT_DONE;
		if (length < 0) {
			if (errno == EINTR)
				continue;
			return report_failure(action, from_name, errno);
		}
		error = write_all(to, buffer, (size_t)length);
		if (error < 0)
			return report_failure(action, to_name, -error);
	}
}
