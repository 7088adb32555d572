/* SPDX-License-Identifier: MIT */
/* address.h: where a broker is, from text to socket address. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

enum address_kind {
	ADDRESS_ABSTRACT,   /* "@NAME": belongs to a network namespace */
	ADDRESS_PATHNAME,   /* "/PATH": belongs to a mount namespace */
	ADDRESS_DESCRIPTOR, /* "fd:N": inherited */
};

struct address {
	enum address_kind kind;
	struct sockaddr_un name; /* unless ADDRESS_DESCRIPTOR ... */
	socklen_t length; /* ... and how much of it is in use, as bind(2) and connect(2) want it */
	int fd;		  /* ADDRESS_DESCRIPTOR only, else -1 */
};

/*
 * Reads `text` into `address`. Touches nothing else: the descriptor need not be open, nor the path
 * exist. Returns 0; -EINVAL where it has none of the three forms; -ENAMETOOLONG where it does not
 * fit into a socket address (107 bytes of name or path); -EBADF where N is more than a descriptor
 * can be.
 */
int address_parse(const char *text, struct address *address);

#endif
