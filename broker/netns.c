/* SPDX-License-Identifier: MIT */
#include "netns.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

int netns_socket(const char *path)
{
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int theirs, result;

	if (ours < 0)
		return -errno;
	/* Whatever the file is, opening it must neither hang nor do anything. */
	theirs = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (theirs < 0 || setns(theirs, CLONE_NEWNET) < 0) {
		result = -errno;
	} else {
		result = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (result < 0)
			result = -errno;
		/* Everything that follows would be done in the wrong place. */
		if (setns(ours, CLONE_NEWNET) < 0) {
			report_failure("returning to the daemon's network namespace", -errno);
			_exit(1);
		}
	}
	if (theirs >= 0)
		close(theirs);
	close(ours);
	return result;
}
