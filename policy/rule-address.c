/* SPDX-License-Identifier: MIT */
/*
 * rule-address.c: see rule-address.h. UNIX sockets have names like files, and parts of the tree of their own; the
 * numbers of TCP and UDP are in a list.
 */
#include "rule-address.h"

#include "address.h"
#include "prefix.h"
#include "rights.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

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
	if (!abstract && prefix_keep(compiler, target->rule, &target->place, true))
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
