/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int journal_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int journal;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal < 0)
		return -errno;
	if (connect(journal, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;
		close(journal);
		return error;
	}
	return journal;
}

/* Whether a value can stand in one line. */
static bool is_plain(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < 0x20)
			return false;
	return true;
}

static char *put_name(char *at, const char *name)
{
	while (*name)
		*at++ = (char)toupper((unsigned char)*name++);
	return at;
}

bool journal_add(char *buffer, size_t size, size_t *used, const char *prefix, const char *name,
	const char *value, size_t length)
{
	bool plain = is_plain(value, length);
	size_t whole = strlen(prefix) + strlen(name) + 1 + (plain ? 0 : 8) + length + 1;
	uint64_t binary = htole64(length);

	if (whole > size - *used)
		return false;
	char *at = put_name(put_name(buffer + *used, prefix), name);
	*at++ = plain ? '=' : '\n';
	if (!plain)
		at = mempcpy(at, &binary, sizeof(binary));
	at = mempcpy(at, value, length);
	*at = '\n';
	*used += whole;
	return true;
}
