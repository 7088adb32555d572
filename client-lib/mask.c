// SPDX-License-Identifier: MIT
/*
 * mask.c: reads the umask, which umask(2) can only do by setting it.
 *
 * The broker cannot know the caller's umask, so the library applies it. Setting it to read it would
 * be a race: a file created by another thread in that moment would get the wrong mode. So this file
 * must never call umask(2) in the state that the program's threads share.
 *
 * /proc/thread-self/status has it (Linux 4.7). It costs as much as an open through the broker,
 * which is why it is done with O_CREAT only, and each time: a program may change its umask whenever
 * it likes. A sandbox often has no /proc; there, a thread of our own is started, leaves the shared
 * state with unshare(CLONE_FS), which needs no privilege, and may then set its own copy to read it.
 * A sandbox that forbids that as well gets MASK_UNKNOWN: a file that others cannot read is an
 * annoyance, one that they can is a leak.
 */
#include "mask.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int mask_from_proc(mode_t *mask)
{
	static const char field[] = "\nUmask:\t";
	char text[512]; /* the line is the second, after the name of at most 64 bytes, escaped */
	const char *value;
	ssize_t length;
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	do
		length = read(fd, text, sizeof(text) - 1);
	while (length < 0 && errno == EINTR);
	close(fd);
	if (length < 0)
		return -EIO;
	text[length] = '\0';
	value = strstr(text, field);
	if (!value)
		return -ENODATA;
	*mask = (mode_t)strtoul(value + strlen(field), NULL, 8);
	return 0;
}

static void *ask_copy(void *unused)
{
	(void)unused;
	if (unshare(CLONE_FS) < 0)
		return (void *)(intptr_t)-errno;
	return (void *)(intptr_t)umask(MASK_UNKNOWN);
}

int mask_from_thread(mode_t *mask)
{
	sigset_t all, before;
	pthread_t thread;
	void *result;
	int error;

	/* The program's signal handlers are not to run on a thread it does not know. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&thread, NULL, ask_copy, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return -error;
	error = pthread_join(thread, &result);
	if (error != 0)
		return -error;
	if ((intptr_t)result < 0)
		return (int)(intptr_t)result;
	*mask = (mode_t)(intptr_t)result;
	return 0;
}

mode_t mask_get(void)
{
	mode_t mask;

	if (mask_from_proc(&mask) == 0 || mask_from_thread(&mask) == 0)
		return mask;
	return MASK_UNKNOWN;
}

mode_t mask_apply(mode_t mode)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	mode &= 07777 & ~mask_get();
	pthread_setcancelstate(state, NULL);
	return mode;
}
