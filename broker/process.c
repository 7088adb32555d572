/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Bytes of a /proc file that are looked at: enough for a path of 4,095 in each of a few hierarchies. */
#define TEXT_MAX 16384

/* Reads a small file whole, as text. Its length or a negative errno. */
static ssize_t read_text(int directory, const char *name, char *text, size_t size)
{
	int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t length;

	if (file < 0)
		return -errno;
	do {
		length = read(file, text + used, size - 1 - used);
		if (length > 0)
			used += (size_t)length;
	} while (length > 0 || (length < 0 && errno == EINTR));
	int error = length < 0 ? -errno : 0;
	close(file);
	text[used] = '\0';
	return error ? error : (ssize_t)used;
}

/* The process's directory in /proc, or a negative errno. */
static int open_process(int pidfd)
{
	char name[48], text[1024];
	const char *line;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", pidfd);
	ssize_t length = read_text(AT_FDCWD, name, text, sizeof(text));
	if (length < 0)
		return (int)length;
	line = strstr(text, "\nPid:");
	long pid = line ? strtol(line + 5, NULL, 10) : 0;
	if (pid <= 0)
		return -ESRCH;
	snprintf(name, sizeof(name), "/proc/%ld", pid);
	int directory = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return directory < 0 ? -ESRCH : directory;
}

static bool ends_in(const char *name, size_t length, const char *suffix)
{
	size_t size = strlen(suffix);

	return length > size && memcmp(name + length - size, suffix, size) == 0;
}

/* The unit in the path that `path` begins with, up to the line's end. */
static void unit_of_path(const char *path, char unit[PROCESS_UNIT_MAX])
{
	while (*path == '/') {
		size_t length = strcspn(++path, "/\n");
		if (length < PROCESS_UNIT_MAX &&
			(ends_in(path, length, ".service") || ends_in(path, length, ".scope"))) {
			memcpy(unit, path, length);
			unit[length] = '\0';
			return;
		}
		path += length;
	}
}

void process_find_unit(const char *text, char unit[PROCESS_UNIT_MAX])
{
	static const char *const hierarchies[] = {"0::", ":name=systemd:"};

	unit[0] = '\0';
	for (size_t i = 0; i < 2 && !unit[0]; i++) {
		for (const char *line = text; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			const char *found = line;
			/* "NUMBER:CONTROLLERS:PATH": the unified one has the number 0 and no controllers. */
			if (i == 1)
				found += strspn(line, "0123456789");
			if (strncmp(found, hierarchies[i], strlen(hierarchies[i])) == 0)
				unit_of_path(found + strlen(hierarchies[i]), unit);
			if (unit[0])
				return;
		}
	}
}

static void read_exe(int directory, struct process *process)
{
	struct statx status;

	/* Follows the link, which leads to the file itself and not to what now has its name. The file system is not
	 * asked, which may hang: device and inode do not change. */
	if (statx(directory, "exe", AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
		return;
	process->has_exe = true;
	process->device = makedev(status.stx_dev_major, status.stx_dev_minor);
	process->inode = status.stx_ino;
}

static void read_comm(int directory, struct process *process)
{
	char text[PROCESS_COMM_MAX + 1]; /* with the newline */
	ssize_t length = read_text(directory, "comm", text, sizeof(text));

	if (length > 0)
		memcpy(process->comm, text, (size_t)length - 1);
}

int process_read(int pidfd, struct process *process)
{
	struct pollfd alive = {.fd = pidfd, .events = POLLIN};
	char *text = malloc(TEXT_MAX);
	int directory = text ? open_process(pidfd) : -ENOMEM;
	int error = directory < 0 ? directory : 0;

	*process = (struct process){0};
	if (!error) {
		read_exe(directory, process);
		read_comm(directory, process);
		if (read_text(directory, "cgroup", text, TEXT_MAX) > 0)
			process_find_unit(text, process->unit);
		close(directory);
		/* A pidfd is readable from when its process has ended (pidfd_open(2)); until then the number
		 * that it was found by was its own. */
		if (poll(&alive, 1, 0) != 0)
			error = -ESRCH;
	}
	free(text);
	return error;
}
