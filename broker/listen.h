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

struct listener {
	const char *address; /* "@NAME" or "/PATH" */
	int socket;	     /* -1 until it listens */
	bool made;	     /* a pathname socket of ours, to be removed at the end */
	dev_t device;	     /* of that, so that nobody else's is removed */
	ino_t inode;
};

/*
 * Checks the form of an address. NULL, or what is wrong with it and what to do: one static line.
 */
const char *listen_check(const char *address);

/*
 * Listens on `listener->address`. A pathname socket gets `mode` from the first moment, `group` at once,
 * and replaces one on which nobody answers. SO_PASSCRED is set, so that accepted sockets have it
 * before their first message, and where the kernel can (6.16), descriptors are refused before they
 * are sent.
 *
 * 0 or a negative errno: -EADDRINUSE (somebody listens there, or the path is something else), and
 * those of socket(2), bind(2), listen(2).
 */
int listen_open(struct listener *listener, mode_t mode, gid_t group);

/* Closes it and removes its pathname socket. */
void listen_close(struct listener *listener);

#endif
