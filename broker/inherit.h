/* SPDX-License-Identifier: MIT */
/*
 * inherit.h: descriptors that whoever started the daemon left open for it: listening sockets of a service
 * manager (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES as sd_listen_fds(3) has them), those that --listen fd:N
 * names, and that of --ready-fd. Nothing else that was left open is looked at.
 *
 * An inherited socket is never bound, unlinked or bound again: its name belongs to whoever made it.
 */
#ifndef BROKER_INHERIT_H
#define BROKER_INHERIT_H

#include "listen.h"
#include "options.h"

struct inherited_socket {
	int descriptor;
	char address
		[LISTEN_BOUND_MAX]; /* "@NAME" or "/PATH": what it is bound to, and so its `via` */
};

struct inherited {
	struct inherited_socket sockets[OPTIONS_ADDRESSES_MAX];
	unsigned int count;
};

/*
 * Finds and checks them. To be called before anything else is opened, or a number that was not left open could
 * be one of our own. Sockets get SO_PASSCRED. The variables are removed from the environment, so that no other
 * process takes them for its own. The descriptors belong to the daemon from then on. 0, or an exit
 * status after a line on standard error: 1, or 2 for a mistake of the command line.
 */
int inherit_read(const struct options *options, struct inherited *inherited);

#endif
