/* SPDX-License-Identifier: MIT */
#include "accesses.h"

#include <linux/landlock.h>
#include <stdio.h>

/* Not in the headers of Linux 6.1, which are some of those that this is built with. By the version that brought them: */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* 3, Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP /* 4, Linux 6.7 */
#define LANDLOCK_ACCESS_NET_BIND_TCP	(1ull << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ull << 1)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV /* 5, Linux 6.10 */
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ull << 15)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET /* 6, Linux 6.12 */
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define LANDLOCK_SCOPE_SIGNAL		    (1ull << 1)
#endif

enum part { FILES, NETWORK, SCOPES };

/*
 * What serving the rights takes. What belongs to ACCESSES_REFER is named all the same: it is true of it.
 *
 * What a file may be truncated by, and a device be asked (truncate, ioctl_dev), goes with the descriptor to whom it is
 * handed. So these are denied only where no such descriptor can be: devices are opened by the maker.
 */
static const struct access {
	enum part part;
	int version;
	uint64_t bit;
	const char *name; /* the kernel's */
	uint32_t rights;  /* 0: the worker never does it */
} table[] = {
	{FILES, 1, LANDLOCK_ACCESS_FS_EXECUTE, "execute", 0},
	{FILES, 1, LANDLOCK_ACCESS_FS_WRITE_FILE, "write_file",
		POLICY_WRITE | POLICY_APPEND | POLICY_CREATE},
	/* A file whose mode is changed is opened first. */
	{FILES, 1, LANDLOCK_ACCESS_FS_READ_FILE, "read_file",
		POLICY_READ | POLICY_WRITE | POLICY_CREATE},
	/* To see whether names fold in it, wherever it is. */
	{FILES, 1, LANDLOCK_ACCESS_FS_READ_DIR, "read_dir", POLICY_PATH_RIGHTS},
	/* What was made and cannot be given to its owner is removed. */
	{FILES, 1, LANDLOCK_ACCESS_FS_REMOVE_DIR, "remove_dir",
		POLICY_DELETE | POLICY_MKDIR | POLICY_RENAME},
	{FILES, 1, LANDLOCK_ACCESS_FS_REMOVE_FILE, "remove_file",
		POLICY_DELETE | POLICY_CREATE | POLICY_RENAME},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_CHAR, "make_char", ACCESSES_REFER},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_DIR, "make_dir", POLICY_MKDIR | POLICY_RENAME},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_REG, "make_reg", ACCESSES_REFER},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_SOCK, "make_sock", ACCESSES_REFER},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_FIFO, "make_fifo", ACCESSES_REFER},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_BLOCK, "make_block", ACCESSES_REFER},
	{FILES, 1, LANDLOCK_ACCESS_FS_MAKE_SYM, "make_sym", ACCESSES_REFER},
	/* Denied with any other one, named or not, from the first version on. */
	{FILES, 2, LANDLOCK_ACCESS_FS_REFER, "refer", ACCESSES_REFER},
	{FILES, 3, LANDLOCK_ACCESS_FS_TRUNCATE, "truncate",
		POLICY_WRITE | POLICY_APPEND | POLICY_CREATE},
	{FILES, 5, LANDLOCK_ACCESS_FS_IOCTL_DEV, "ioctl_dev", 0},
	/* Sockets are made, bound and connected by the maker. */
	{NETWORK, 4, LANDLOCK_ACCESS_NET_BIND_TCP, "bind_tcp", 0},
	{NETWORK, 4, LANDLOCK_ACCESS_NET_CONNECT_TCP, "connect_tcp", 0},
	{SCOPES, 6, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, "abstract_unix_socket", 0},
	{SCOPES, 6, LANDLOCK_SCOPE_SIGNAL, "signal", 0},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static uint64_t *part_of(struct accesses *accesses, enum part part)
{
	return part == FILES	 ? &accesses->files
	       : part == NETWORK ? &accesses->network
				 : &accesses->scopes;
}

void accesses_deny(uint32_t rights, int version, struct accesses *denied)
{
	*denied = (struct accesses){0};
	for (size_t i = 0; i < COUNT; i++) {
		const struct access *one = &table[i];
		if (one->version <= version && !(one->rights & rights))
			*part_of(denied, one->part) |= one->bit;
	}
	if (rights & ACCESSES_REFER)
		denied->files = 0;
}

void accesses_print(const struct accesses *denied, char *text, size_t size)
{
	struct accesses left = *denied;
	size_t used = 0;

	snprintf(text, size, "none");
	for (size_t i = 0; i < COUNT && used < size; i++)
		if (*part_of(&left, table[i].part) & table[i].bit)
			used += (size_t)snprintf(
				text + used, size - used, "%s%s", used ? " " : "", table[i].name);
}
