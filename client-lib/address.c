// SPDX-License-Identifier: MIT
/*
 * address.c: the three forms of an address.
 *
 * The first character tells the form, so no address can be taken for another kind. Nothing is ever
 * relative: an address means the same thing wherever its reader happens to stand. A path is kept to
 * what fits with its terminating NUL (unix(7) allows one byte more and warns of it), and an
 * abstract name to the same length, so that a name fits on one side whenever it fits on the other.
 */
#include "address.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

static int parse_descriptor(const char *digits, int *fd)
{
	long value = 0;

	if (*digits == '\0')
		return -EINVAL;
	for (; *digits != '\0'; digits++) {
		if (*digits < '0' || *digits > '9')
			return -EINVAL;
		if (value <= INT_MAX)
			value = value * 10 + (*digits - '0');
	}
	if (value > INT_MAX)
		return -EBADF;
	*fd = (int)value;
	return 0;
}

int address_parse(const char *text, struct address *address)
{
	size_t length = strlen(text);

	memset(address, 0, sizeof(*address));
	address->fd = -1;
	if (strncmp(text, "fd:", 3) == 0) {
		address->kind = ADDRESS_DESCRIPTOR;
		return parse_descriptor(text + 3, &address->fd);
	}

	if (text[0] == '@' && length > 1)
		address->kind = ADDRESS_ABSTRACT;
	else if (text[0] == '/')
		address->kind = ADDRESS_PATHNAME;
	else
		return -EINVAL;
	if (length >= sizeof(address->name.sun_path))
		return -ENAMETOOLONG;

	address->name.sun_family = AF_UNIX;
	memcpy(address->name.sun_path, text, length);
	address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (address->kind == ADDRESS_ABSTRACT)
		address->name.sun_path[0] = '\0';
	else
		address->length++;
	return 0;
}
