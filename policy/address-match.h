/* SPDX-License-Identifier: MIT */
/*
 * address-match.h: which addresses of TCP and UDP a rule is about.
 *
 * An IPv4 address in the clothes of an IPv6 one (::ffff:1.2.3.4) is taken for what it is on both
 * sides, or a deny of the one could be sidestepped with the other.
 */
#ifndef POLICY_ADDRESS_MATCH_H
#define POLICY_ADDRESS_MATCH_H

#include "compiled.h"

#include <string.h>

/* Whether sixteen bytes are an IPv4 address in such clothes: the last four of them. */
static inline bool address_is_mapped(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

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
