/* SPDX-License-Identifier: MIT */
/*
 * address-match.c: see address-match.h.
 */
#include "address-match.h"

#include <string.h>

/* An address as the rules see it: its family is that of what it means. */
struct meaning {
	unsigned int family; /* 4 or 6 */
	uint8_t ip[16];
};

static bool is_unspecified(const struct meaning *meaning)
{
	static const uint8_t none[16];

	return memcmp(meaning->ip, none, meaning->family == 4 ? 4 : 16) == 0;
}

static struct meaning loopback(unsigned int family)
{
	struct meaning meaning = {.family = family};

	if (family == 4)
		memcpy(meaning.ip, "\x7f\0\0\1", 4);
	else
		meaning.ip[15] = 1;
	return meaning;
}

static bool within(const struct internet_rule *rule, const struct meaning *meaning)
{
	unsigned int bytes = rule->prefix / 8, bits = rule->prefix % 8;

	if (rule->family == 0)
		return true;
	if (rule->family != meaning->family || memcmp(rule->ip, meaning->ip, bytes) != 0)
		return false;
	return bits == 0 || (rule->ip[bytes] ^ meaning->ip[bytes]) >> (8 - bits) == 0;
}

/* A rule that names the one unspecified address. */
static bool names_unspecified(const struct internet_rule *rule)
{
	struct meaning meaning = {.family = rule->family};

	memcpy(meaning.ip, rule->ip, sizeof(meaning.ip));
	return rule->family && rule->prefix == (rule->family == 4 ? 32 : 128) &&
	       is_unspecified(&meaning);
}

/* Linux connects the unspecified address to the loopback one: they are one and the same here. */
static bool matches_connect(
	const struct internet_rule *rule, bool deny, const struct meaning *asked)
{
	struct meaning meant = is_unspecified(asked) ? loopback(asked->family) : *asked;
	struct meaning loop = loopback(meant.family);

	if (within(rule, &meant) || (deny && within(rule, asked)))
		return true;
	return names_unspecified(rule) && rule->family == meant.family &&
	       memcmp(meant.ip, loop.ip, sizeof(loop.ip)) == 0;
}

/*
 * Whoever binds the unspecified address has every address, with [::] those of IPv4 as well. So a
 * deny of any of them stands against it; an allow must name it.
 */
static bool matches_bind(const struct internet_rule *rule, bool deny, const struct meaning *asked)
{
	if (within(rule, asked))
		return true;
	return deny && is_unspecified(asked) &&
	       (asked->family == 6 || rule->family == asked->family);
}

unsigned int address_misses(const struct internet_rule *rule, bool deny, uint32_t right,
	const struct policy_address *address)
{
	bool mapped = address->ip6 && address_is_mapped(address->ip);
	struct meaning asked = {.family = address->ip6 && !mapped ? 6 : 4};
	/* To bind port 0 is to get any port. */
	bool any_port = deny && right == POLICY_BIND && address->port == 0;
	unsigned int misses = 0;

	memcpy(asked.ip, mapped ? address->ip + 12 : address->ip, asked.family == 4 ? 4 : 16);
	if (rule->protocol != address->protocol)
		misses |= ADDRESS_MISSES_PROTOCOL;
	if (!any_port && (address->port < rule->port_low || address->port > rule->port_high))
		misses |= ADDRESS_MISSES_PORT;
	if (!(right == POLICY_CONNECT ? matches_connect(rule, deny, &asked)
				      : matches_bind(rule, deny, &asked)))
		misses |= ADDRESS_MISSES_IP;
	return misses;
}

bool address_matches(const struct internet_rule *rule, bool deny, uint32_t right,
	const struct policy_address *address)
{
	/* What is told apart soonest comes first: a caller may have many rules. */
	return rule->protocol == address->protocol && !address_misses(rule, deny, right, address);
}
