/* SPDX-License-Identifier: MIT */
/*
 * address.h: addresses as text, with prefixes and ranges of ports.
 */
#ifndef POLICY_ADDRESS_H
#define POLICY_ADDRESS_H

#include "compiled.h"

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

/*
 * Whether a rule speaks of what a socket does that is connected or bound to the address: of more
 * than the address itself where it is the unspecified one (0.0.0.0, [::]) or port 0.
 */
bool address_matches(const struct internet_rule *rule, bool deny, uint32_t right,
	const struct policy_address *address);

/* In what it does not, where it does not: a set of these. */
enum { ADDRESS_MISSES_PROTOCOL = 1, ADDRESS_MISSES_PORT = 2, ADDRESS_MISSES_IP = 4 };
unsigned int address_misses(const struct internet_rule *rule, bool deny, uint32_t right,
	const struct policy_address *address);

#endif
