/* SPDX-License-Identifier: MIT */
#include "idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_map(pid_t pid, const char *name, uint32_t from, uint32_t to, uint32_t count)
{
	char path[48], text[48];
	int error = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	snprintf(text, sizeof(text), "%u %u %u", from, to, count);
	int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	if (write(file, text, strlen(text)) < 0)
		error = -errno;
	close(file);
	return error;
}

/* The namespace belongs to a process that does nothing but have it, until the descriptor is open. */
static void have_namespace(int tell)
{
	char done = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* Some other thread's clone may be among them (clone.h). */
	if (tell > 0)
		close_range(0, (unsigned int)tell - 1, 0);
	close_range((unsigned int)tell + 1, UINT_MAX, 0);
	/* Else its maps would be root's to write, who the maker need not be. */
	if (geteuid() != 0)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (unshare(CLONE_NEWUSER) == 0 && write(tell, &done, 1) == 1)
		pause();
	_exit(0);
}

int idmap_namespace(const struct idmap *map)
{
	char path[48], done = 0;
	int told[2], namespace = -1, error = 0;

	if (pipe2(told, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		have_namespace(told[1]);
	close(told[1]);
	if (pid < 0) {
		close(told[0]);
		return -EAGAIN;
	}
	if (read(told[0], &done, 1) != 1 || !done)
		error = -EPERM;
	close(told[0]);
	if (!error)
		error = write_map(pid, "uid_map", map->from, map->uid, map->count);
	if (!error)
		error = write_map(pid, "gid_map", map->from, map->gid, map->count);
	if (!error) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		namespace = open(path, O_RDONLY | O_CLOEXEC);
		if (namespace < 0)
			error = -errno;
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error ? error : namespace;
}

int idmap_find(struct idmaps *idmaps, const struct idmap *map)
{
	unsigned int count = idmaps->made < IDMAPS_KEPT ? idmaps->made : IDMAPS_KEPT;

	for (unsigned int i = 0; i < count; i++)
		if (memcmp(&idmaps->kept[i].map, map, sizeof(*map)) == 0)
			return fcntl(idmaps->kept[i].descriptor, F_DUPFD_CLOEXEC, 3);
	int made = idmap_namespace(map);
	if (made < 0)
		return made;
	unsigned int at = idmaps->made++ % IDMAPS_KEPT;
	if (count == IDMAPS_KEPT)
		close(idmaps->kept[at].descriptor);
	idmaps->kept[at].map = *map;
	idmaps->kept[at].descriptor = made;
	return fcntl(made, F_DUPFD_CLOEXEC, 3);
}
