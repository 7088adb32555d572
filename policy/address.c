/* SPDX-License-Identifier: MIT */
/*
 * address.c: reading addresses.
 *
 * There are no names to look up: a policy names numbers, so that nobody's name server decides.
 */
#include "address.h"

#include "address-match.h"
#include "compiler.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const struct scheme schemes[] = {
	{"unix:", POLICY_UNIX},
	{"unix-dgram:", POLICY_UNIX_DATAGRAM},
	{"tcp:", POLICY_TCP},
	{"udp:", POLICY_UDP},
};

const struct scheme *address_scheme(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t size = strlen(schemes[i].name);

		if (length >= size && memcmp(text, schemes[i].name, size) == 0)
			return &schemes[i];
	}
	return NULL;
}

/* ---- TCP and UDP ------------------------------------------------------------------------------
 */

static bool read_number(const char **text, unsigned int most, unsigned int *number)
{
	size_t length = strspn(*text, "0123456789");
	uint64_t value;

	if (!compile_number(*text, length, most, &value))
		return false;
	*number = (unsigned int)value;
	*text += length;
	return true;
}

static const char *read_ports(const char *text, struct internet_rule *rule)
{
	unsigned int low, high;

	rule->port_low = 0;
	rule->port_high = UINT16_MAX;
	if (strcmp(text, "*") == 0)
		return NULL;
	if (!read_number(&text, UINT16_MAX, &low))
		return "a port is a number up to 65535, a range of them, or '*'";
	high = low;
	if (*text == '-') {
		text++;
		if (!read_number(&text, UINT16_MAX, &high))
			return "a port is a number up to 65535, a range of them, or '*'";
	}
	if (*text)
		return "something behind the port";
	if (low > high)
		return "the range of ports holds nothing";
	rule->port_low = (uint16_t)low;
	rule->port_high = (uint16_t)high;
	return NULL;
}

static const char *read_ip(const char *text, size_t length, struct internet_rule *rule)
{
	char buffer[INET6_ADDRSTRLEN + 1];
	const char *slash = memchr(text, '/', length), *rest;
	size_t size = slash ? (size_t)(slash - text) : length;
	unsigned int bits = rule->family == 4 ? 32 : 128, prefix = bits;

	if (size >= sizeof(buffer))
		return "no IP address";
	memcpy(buffer, text, size);
	buffer[size] = '\0';
	if (inet_pton(rule->family == 4 ? AF_INET : AF_INET6, buffer, rule->ip) != 1)
		return rule->family == 4 ? "no IPv4 address (names are not looked up)"
					 : "no IPv6 address";
	if (slash) {
		rest = slash + 1;
		if (!read_number(&rest, bits, &prefix) || rest != text + length)
			return "a prefix has at most 32 bits, of an IPv6 address 128";
	}
	for (unsigned int i = prefix; i < bits; i++)
		if (rule->ip[i / 8] & 0x80u >> i % 8)
			return "the address has bits behind its prefix";
	rule->prefix = (uint8_t)prefix;
	if (rule->family == 6 && prefix >= 96 && address_is_mapped(rule->ip)) {
		memmove(rule->ip, rule->ip + 12, 4);
		rule->family = 4;
		rule->prefix = (uint8_t)(prefix - 96);
	}
	return NULL;
}

const char *address_read_internet(const char *text, struct internet_rule *rule)
{
	const char *colon, *problem = NULL;

	if (text[0] == '[') {
		colon = strchr(text, ']');
		if (!colon || colon[1] != ':')
			return "an IPv6 address is written [ADDRESS]:PORT";
		rule->family = 6;
		problem = read_ip(text + 1, (size_t)(colon - text - 1), rule);
		colon++;
	} else {
		colon = strchr(text, ':');
		if (!colon)
			return "the port is missing";
		if (strchr(colon + 1, ':'))
			return "an IPv6 address is written [ADDRESS]:PORT";
		rule->family = 0;
		if (colon - text != 1 || text[0] != '*') {
			rule->family = 4;
			problem = read_ip(text, (size_t)(colon - text), rule);
		}
	}
	return problem ? problem : read_ports(colon + 1, rule);
}

/* Takes "%2" out of "[fe80::1%2]:80". False where it is no number of an interface. */
static bool take_scope(char *text, uint32_t *scope)
{
	char *percent = strchr(text, '%');
	uint64_t value;

	if (!percent)
		return true;
	size_t length = strspn(percent + 1, "0123456789");
	if (percent[1 + length] != ']' ||
		!compile_number(percent + 1, length, UINT32_MAX, &value) || value == 0)
		return false;
	*scope = (uint32_t)value;
	memmove(percent, percent + 1 + length, strlen(percent + 1 + length) + 1);
	return true;
}

int policy_address_parse(const char *text, size_t length, struct policy_address *address)
{
	const struct scheme *scheme = address_scheme(text, length);
	struct internet_rule rule = {0};
	char buffer[128];
	size_t begin;

	memset(address, 0, sizeof(*address));
	if (!scheme || memchr(text, '\0', length))
		return -EINVAL;
	begin = strlen(scheme->name);
	address->protocol = scheme->protocol;
	if (scheme->protocol == POLICY_UNIX || scheme->protocol == POLICY_UNIX_DATAGRAM) {
		if (length == begin)
			return -EINVAL;
		address->abstract = text[begin] == '@';
		if (address->abstract && length - begin - 1 > UNIX_NAME_MAX)
			return -EINVAL;
		address->name = text + begin + address->abstract;
		address->length = length - begin - address->abstract;
		if (address->abstract)
			return address->length ? 0 : -EINVAL;
		return policy_path_check(address->name, address->length) ? -EINVAL : 0;
	}
	if (length - begin >= sizeof(buffer))
		return -EINVAL;
	memcpy(buffer, text + begin, length - begin);
	buffer[length - begin] = '\0';
	/* One address: no prefix, no `*`, one port. */
	if (strpbrk(buffer, "/*") || !take_scope(buffer, &address->scope) ||
		address_read_internet(buffer, &rule) || rule.port_low != rule.port_high)
		return -EINVAL;
	/* A scope of an IPv4 address says nothing. */
	if (address->scope && rule.family != 6)
		return -EINVAL;
	address->ip6 = rule.family == 6;
	memcpy(address->ip, rule.ip, sizeof(address->ip));
	address->port = rule.port_low;
	return 0;
}
