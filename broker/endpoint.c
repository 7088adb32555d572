/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include <string.h>
#include <sys/socket.h>

bool endpoint_has_type(uint32_t protocol, uint32_t type)
{
	switch (protocol) {
	case ENDPOINT_UNIX:
		return type == SOCK_STREAM || type == SOCK_SEQPACKET;
	case ENDPOINT_TCP:
		return type == SOCK_STREAM;
	case ENDPOINT_UNIX_DATAGRAM:
	case ENDPOINT_UDP:
		return type == SOCK_DGRAM;
	}
	return false;
}

static const uint8_t *find_loopback(uint8_t family)
{
	static const uint8_t four[16] = {127, 0, 0, 1}, six[16] = {[15] = 1};

	return family == 4 ? four : six;
}

static bool is_unspecified(uint8_t family, const uint8_t ip[16])
{
	static const uint8_t none[16];

	return memcmp(ip, none, family == 4 ? 4 : 16) == 0;
}

static bool is_within(const struct endpoint *rule, uint8_t family, const uint8_t ip[16])
{
	unsigned int bytes = rule->prefix / 8, bits = rule->prefix % 8;

	if (rule->family == 0)
		return true;
	if (rule->family != family || rule->prefix > (family == 4 ? 32 : 128) ||
		memcmp(rule->ip, ip, bytes) != 0)
		return false;
	return bits == 0 || (rule->ip[bytes] ^ ip[bytes]) >> (8 - bits) == 0;
}

bool endpoint_covers(
	const struct endpoint *rule, enum endpoint_right right, const struct endpoint *asked)
{
	const uint8_t *ip = asked->ip;

	if (!(rule->rights & right) || rule->protocol != asked->protocol ||
		!endpoint_has_type(asked->protocol, asked->type & ~(uint32_t)SOCK_NONBLOCK))
		return false;
	if (rule->protocol != ENDPOINT_TCP && rule->protocol != ENDPOINT_UDP)
		return true;
	if ((asked->family != 4 && asked->family != 6) || asked->port_low < rule->port_low ||
		asked->port_low > rule->port_high)
		return false;
	/* Linux connects the unspecified address to the loopback one: a rule that names either means it. */
	if (right == ENDPOINT_CONNECT && is_unspecified(asked->family, ip))
		ip = find_loopback(asked->family);
	if (is_within(rule, asked->family, ip))
		return true;
	return right == ENDPOINT_CONNECT && rule->family == asked->family &&
	       rule->prefix == (rule->family == 4 ? 32 : 128) &&
	       is_unspecified(rule->family, rule->ip) &&
	       memcmp(ip, find_loopback(asked->family), asked->family == 4 ? 4 : 16) == 0;
}
