/* SPDX-License-Identifier: MIT */
/*
 * journal.h: the journal's native form (systemd's JOURNAL_NATIVE_PROTOCOL): a datagram is an entry, a field is
 * "NAME=value\n", or, whatever bytes the value has, "NAME\n", its length (64 bits, little-endian), the value, "\n".
 * No libsystemd in a privileged daemon.
 */
#ifndef BROKER_JOURNAL_H
#define BROKER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* syslog(3)'s, which are the journal's. */
enum journal_priority {
	JOURNAL_ERROR = 3,
	JOURNAL_WARNING = 4,
	JOURNAL_NOTICE = 5,
	JOURNAL_INFO = 6,
};

/* A datagram socket that is connected to the journal's at `path`, close-on-exec; or a negative errno. */
int journal_open(const char *path);

/*
 * Adds a field at buffer[*used], of `size` bytes: `prefix` and `name`, in capitals, and the value, `length` of any
 * bytes. False, and nothing added, where there is no room for it.
 */
bool journal_add(char *buffer, size_t size, size_t *used, const char *prefix, const char *name,
	const char *value, size_t length);

#endif
