// SPDX-License-Identifier: MIT
/*
 * server.c: a client must not be fooled into taking its files from a stranger.
 *
 * Anyone may take an abstract name first, so the name proves nothing. What the kernel says of
 * whoever called listen(2) does (SO_PEERCRED, unix(7)): root, the caller itself, or one whom the
 * caller named.
 *
 * The trap is the overflow uid. In a user namespace without a mapping for root, root shows as
 * 65534, and so does every stranger without one; and a caller without one shows as 65534 to itself
 * too, so "the same uid as mine" says nothing. Then only the address can vouch: a pathname socket
 * lies in a directory that somebody owns, an inherited one came from a parent. Where every uid is
 * mapped, as in the first namespace, 65534 is a user like any other and gets no such leave.
 *
 * This file must never err on the side of trust where it could know better; where /proc is missing,
 * it takes the kernel's default of 65534 and assumes that some uid is unmapped.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_OVERFLOW_UID 65534

bool server_is_trusted(const struct server_facts *facts)
{
	if (facts->named != SERVER_NOBODY && facts->server == facts->named)
		return true;
	if (facts->server == facts->overflow && !facts->all_mapped)
		return facts->name_is_owned;
	return facts->server == 0 || facts->server == facts->caller;
}

/* Reads a short file whole and ends it with a NUL. Returns its length, or a negative errno. */
static ssize_t read_short(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t length;

	if (fd < 0)
		return -errno;
	do
		length = read(fd, buffer, size - 1);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		length = -errno;
	else
		buffer[length] = '\0';
	close(fd);
	return length;
}

static uid_t overflow_uid(void)
{
	char text[16];

	if (read_short("/proc/sys/kernel/overflowuid", text, sizeof(text)) <= 0)
		return DEFAULT_OVERFLOW_UID;
	return (uid_t)strtoul(text, NULL, 10);
}

/*
 * Whether /proc/self/uid_map (user_namespaces(7): lines of inside, outside, count) covers every
 * uid. A map too long for the buffer does not, as far as is known, which is the careful answer.
 */
static bool all_uids_mapped(void)
{
	char text[4096];
	char *line = text;
	uint64_t mapped = 0;
	unsigned int inside, outside, count;
	int used;

	if (read_short("/proc/self/uid_map", text, sizeof(text)) <= 0)
		return false;
	while (sscanf(line, "%u %u %u%n", &inside, &outside, &count, &used) == 3) {
		mapped += count;
		line += used;
	}
	return mapped >= UINT32_MAX; /* (uid_t)-1 is no uid */
}

int server_check(int fd, uid_t named, bool name_is_owned)
{
	struct server_facts facts = {
		.caller = geteuid(),
		.named = named,
		.name_is_owned = name_is_owned,
	};
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	facts.server = credentials.uid;
	/* The overflow uid is never 0, so root needs no look at /proc. */
	if (facts.server == 0)
		return 0;
	facts.overflow = overflow_uid();
	facts.all_mapped = all_uids_mapped();
	return server_is_trusted(&facts) ? 0 : -EPERM;
}
