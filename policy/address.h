/* SPDX-License-Identifier: MIT */
/*
 * address.h: addresses as text, with prefixes and ranges of ports.
 */
#ifndef POLICY_ADDRESS_H
#define POLICY_ADDRESS_H

#include "compiled.h"

#define UNIX_NAME_MAX 107u /* bytes of an abstract name, in struct sockaddr_un */

struct scheme {
	const char *name; /* with its colon */
	enum policy_protocol protocol;
};

/* The scheme that a text begins with, or NULL. */
const struct scheme *address_scheme(const char *text, size_t length);

/*
 * Reads what stands behind tcp: or udp:, filling in family, prefix, ip and ports. Returns NULL, or
 * what is wrong with it, as a static line.
 */
const char *address_read_internet(const char *text, struct internet_rule *rule);

#endif
