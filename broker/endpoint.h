/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h: where a socket may be connected or bound, as the worker tells the maker, and where it is asked to be.
 * Numbers only, but for the name of a UNIX socket, which is the text of the message that this is a part of.
 */
#ifndef BROKER_ENDPOINT_H
#define BROKER_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

enum endpoint_protocol { ENDPOINT_UNIX, ENDPOINT_UNIX_DATAGRAM, ENDPOINT_TCP, ENDPOINT_UDP };
enum endpoint_right { ENDPOINT_CONNECT = 1, ENDPOINT_BIND = 2 };

/* The caller's, in the place of an owner or a group. */
#define ENDPOINT_CALLER UINT32_MAX

struct endpoint {
	uint32_t protocol; /* enum endpoint_protocol */
	uint32_t rights;   /* of a rule: a set of enum endpoint_right */
	/* A socket's file in the end has this mode and belongs to those; in a request what the mode is cut to. */
	uint32_t mode, owner, group;
	uint8_t abstract; /* of a rule: its name is an abstract one */
	uint8_t reserved;
	/* TCP and UDP. In a rule: 0 for any, and the bits of `ip` that count; in a request 4 or 6. */
	uint8_t family, prefix;
	uint8_t ip[16];
	uint16_t port_low, port_high; /* in a request the same */
	uint32_t scope;		      /* in a request: of an IPv6 address, or 0 */
	/* In a request: SOCK_STREAM, ..., and SOCK_NONBLOCK; and how many ms are left for it. */
	uint32_t type, time;
};

/* Whether the rule covers what is asked for: by its protocol, the type of the socket, the address and the port. */
bool endpoint_covers(
	const struct endpoint *rule, enum endpoint_right right, const struct endpoint *asked);

/* Whether a socket of that type (without SOCK_NONBLOCK) is one of the protocol. */
bool endpoint_has_type(uint32_t protocol, uint32_t type);

#endif
