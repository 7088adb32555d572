/* SPDX-License-Identifier: MIT */
/*
 * listen.h: addresses, and the sockets that listen on them. The supervisor's: who calls listen(2)
 * is whom clients see as the server.
 */
#ifndef BROKER_LISTEN_H
#define BROKER_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/* The mode of a pathname socket: everybody may ask, the policy decides. */
#define LISTEN_MODE_DEFAULT 0666
#define LISTEN_GROUP_KEEP   ((gid_t)-1)

/* Bytes of "@NAME" or "/PATH", and of any address, with the NUL. */
#define LISTEN_BOUND_MAX   109
#define LISTEN_ADDRESS_MAX 512

struct listener {
	const char *
		address; /* "@NAME", "/PATH" or "netns:FILE/@NAME": also what policies know it by */
	int socket;	 /* -1 until it listens */
	bool inherited;	 /* bound by somebody else: to be used, and else left alone */
	bool made;	 /* a pathname socket of ours, to be removed at the end */
	dev_t device;	 /* of that, so that nobody else's is removed */
	ino_t inode;
};

/*
 * Checks the form of an address. NULL, or what is wrong with it and what to do: one static line.
 */
const char *listen_check(const char *address);

/* The descriptor that "fd:N" means; -1 where the address is none of that form. */
int listen_descriptor(const char *address);

/*
 * Makes a socket non-blocking, and such that what it accepts has SO_PASSCRED before its first message, and where the
 * kernel can (6.16), descriptors are refused before they are sent. 0 or a negative errno.
 */
int listen_prepare(int socket);

/*
 * Listens on `listener->address`. A pathname socket gets `mode` from the first moment, `group` at once,
 * and replaces one on which nobody answers.
 *
 * 0 or a negative errno: -EADDRINUSE (somebody listens there, or the path is something else), and
 * those of socket(2), bind(2), listen(2) and netns_socket. -ESHUTDOWN for an inherited one, which is not ours
 * to bind.
 */
int listen_open(struct listener *listener, mode_t mode, gid_t group);

/* Closes it and removes its pathname socket, if that was made here. */
void listen_close(struct listener *listener);

#endif
