// SPDX-License-Identifier: MIT
/*
 * repeat.c: the table of what may be made twice.
 *
 * A request that was lost with a worker may have been carried out or not. It is repeated where the
 * caller cannot tell twice from once: neither by the answer, nor by what is left behind, nor because
 * of what others did between the first and the second. For anything else the caller is told, and
 * looks for itself. libfdbroker(3) has the same table for people.
 */
#include "repeat.h"

#include <fcntl.h>
#include <stddef.h>

#include "fdbroker-protocol.h"

static bool open_is_safe(uint64_t flags)
{
	/* The second would truncate what others have written since the first. */
	if (flags & O_TRUNC)
		return false;
	/* The first may have made the file that the second finds: EEXIST for one's own. */
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return false;
	/* With O_CREAT alone, the second opens what the first made. */
	return (flags & O_TMPFILE) != O_TMPFILE;
}

/*
 * Not here, and so never repeated:
 *	MKDIR, RMDIR, UNLINK, RENAME, LINK, SYMLINK	the second would fail because of the first
 *	CHMOD, UTIMENS	somebody else may have set another mode or time since the first
 *	CONNECT		the server has accepted one connection already
 *	BIND		the address may be taken, by the first
 *	RELOAD		a policy that no worker survives would be loaded again and again
 */
static const struct {
	uint16_t operation;
	bool (*is_safe)(uint64_t flags); /* NULL: always */
} table[] = {
	{FDBROKER_OPEN, open_is_safe},
	/* These only tell. */
	{FDBROKER_STATUS, NULL},
	{FDBROKER_STAT, NULL},
	{FDBROKER_ACCESS, NULL},
	{FDBROKER_READLINK, NULL},
	/* A page is asked for by its position, not as the next one. */
	{FDBROKER_LIST, NULL},
	/* The descriptor that was lost was closed with the worker, and nothing had been done with it. */
	{FDBROKER_TREE, NULL},
	{FDBROKER_WATCH, NULL},
};

bool repeat_is_safe(uint16_t operation, uint64_t flags)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].operation == operation)
			return !table[i].is_safe || table[i].is_safe(flags);
	}
	return false;
}
