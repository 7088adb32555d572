/* SPDX-License-Identifier: MIT */
/*
 * address.c: addresses: reading them, and the rules about them.
 *
 * There are no names to look up: a policy names numbers, so that nobody's name server decides. An
 * IPv4 address in the clothes of an IPv6 one (::ffff:1.2.3.4) is taken for what it is on both
 * sides, or a deny of the one could be sidestepped with the other.
 */
#include "address.h"

#include "rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define UNIX_NAME_MAX 107u /* of an abstract name, in struct sockaddr_un */

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

static bool is_mapped(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, mapped, sizeof(mapped)) == 0;
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
	if (rule->family == 6 && prefix >= 96 && is_mapped(rule->ip)) {
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
	bool mapped = address->ip6 && is_mapped(address->ip);
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

/* ---- rules ------------------------------------------------------------------------------------
 */

static int fail(struct rule_target *target, const char *hint, const char *message)
{
	report_error(target->compiler->diagnostics, &target->place, hint, "%s", message);
	return -EINVAL;
}

/* What a socket rule says besides where it is; its number is what a decision names. */
static int add_socket(struct rule_target *target, const struct scheme *scheme, bool abstract,
	const char *name, bool variables, uint32_t *number)
{
	struct policy *policy = target->compiler->policy;
	const struct rule *rule = target->rule;

	if (!array_reserve(&policy->sockets, &policy->socket_capacity, policy->socket_count + 1,
		    sizeof(*policy->sockets)))
		return -ENOMEM;
	*number = (uint32_t)policy->socket_count;
	policy->sockets[policy->socket_count++] = (struct policy_socket){
		.protocol = scheme->protocol,
		.abstract = abstract,
		.variables = variables,
		.name = name,
		.rights = rule->rights,
		.mode = rule->mode,
		.owner = rule->owner,
		.group = rule->group,
		.file = rule->place.file,
		.line = rule->place.line,
	};
	return 0;
}

static int add_internet(struct rule_target *target, const struct scheme *scheme,
	const struct atom *atoms, size_t count)
{
	struct policy *policy = target->compiler->policy;
	struct internet_rule rule = {.subject = target->rule->subject,
		.rule = target->number,
		.protocol = (uint8_t)scheme->protocol};
	char text[128];
	const char *problem;
	int status;

	if (count >= sizeof(text))
		return fail(target, NULL, "no IP address");
	for (size_t i = 0; i < count; i++) {
		if (atoms[i].code > UCHAR_MAX && atoms[i].code != ATOM_STAR)
			return fail(target, "write a prefix (10.0.0.0/8) or '*' for all",
				"an IP address has no such wildcard and no variable");
		text[i] = atoms[i].code == ATOM_STAR ? '*' : (char)atoms[i].code;
	}
	text[count] = '\0';
	problem = address_read_internet(text, &rule);
	if (problem)
		return fail(target, "for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53",
			problem);
	if (!target->rule->deny) {
		status = add_socket(target, scheme, false, NULL, false, &rule.socket);
		if (status)
			return status;
		struct policy_socket *socket = &policy->sockets[rule.socket];
		socket->family = rule.family;
		socket->prefix = rule.prefix;
		memcpy(socket->ip, rule.ip, sizeof(socket->ip));
		socket->port_low = rule.port_low;
		socket->port_high = rule.port_high;
	}
	if (!array_reserve(&policy->internets, &policy->internet_capacity,
		    policy->internet_count + 1, sizeof(rule)))
		return -ENOMEM;
	policy->internets[policy->internet_count++] = rule;
	return 0;
}

static int add_unix(struct rule_target *target, const struct scheme *scheme,
	const struct atom *atoms, size_t count)
{
	struct compiler *compiler = target->compiler;
	struct pattern *pattern = &compiler->pattern;
	bool datagram = scheme->protocol == POLICY_UNIX_DATAGRAM;
	bool abstract = count && atoms[0].code == '@';
	struct tree_entry entry = {target->rule->subject, target->number, 0};
	enum tree_root root = abstract ? TREE_ABSTRACT : TREE_UNIX;
	char name[2 * PATH_MAX];
	const char *copy;
	uint32_t node;
	int status;

	if (abstract && count - 1 > UNIX_NAME_MAX)
		return fail(target, NULL, "an abstract name has at most 107 bytes");
	status = abstract ? pattern_parse_name(pattern, atoms + 1, count - 1, &target->place,
				    compiler->diagnostics)
			  : pattern_parse_path(
				    pattern, atoms, count, &target->place, compiler->diagnostics);
	if (status)
		return status;
	if (pattern->wild && !target->rule->deny)
		return fail(target, "name each socket, in braces or by several rules",
			"an allowed socket cannot have a wildcard");
	target->rule->variables |= (uint8_t)pattern->variables;
	if (!abstract && rule_keep_prefix(target, true))
		return -ENOMEM;
	if (!target->rule->deny) {
		if (!pattern_print(pattern, pattern->count, name, sizeof(name)))
			return fail(target, NULL, "the name of a UNIX socket is too long");
		copy = arena_copy(
			&compiler->policy->arena, name + abstract, strlen(name + abstract));
		if (!copy)
			return -ENOMEM;
		status = add_socket(
			target, scheme, abstract, copy, pattern->variables != 0, &entry.directory);
		if (status)
			return status;
	}
	status = builder_insert(&compiler->builder, root + datagram, pattern, &node, NULL);
	return status ? status
		      : builder_attach(&compiler->builder, node, &entry, target->rule->deny);
}

int rule_add_address(struct rule_target *target, const struct atom *atoms, size_t count)
{
	char start[16];
	size_t length = 0;
	const struct scheme *scheme;
	const struct rule *rule = target->rule;
	bool exact;

	while (length < count && length < sizeof(start) && atoms[length].code <= UCHAR_MAX) {
		start[length] = (char)atoms[length].code;
		length++;
	}
	scheme = address_scheme(start, length);
	if (!scheme)
		return 1;
	if (rule->written != RIGHTS_ALL && rule->written & POLICY_PATH_RIGHTS)
		return fail(target, "the rights on an address are connect and bind",
			"a right on paths with an address");
	/* A stream that is connected stays so; everything else can be pointed at another peer. */
	exact = scheme->protocol == POLICY_UNIX && !(rule->written & POLICY_BIND);
	if (!rule->deny && !exact && !rule->any_peer)
		return fail(target, "add any-peer, and bound it with the service's IPAddressAllow=",
			"its holder can reach other peers with this socket");
	length = strlen(scheme->name);
	if (scheme->protocol == POLICY_TCP || scheme->protocol == POLICY_UDP)
		return add_internet(target, scheme, atoms + length, count - length);
	return add_unix(target, scheme, atoms + length, count - length);
}

const struct policy_socket *policy_sockets(const struct policy *policy, size_t *count)
{
	*count = policy->socket_count;
	return policy->sockets;
}
