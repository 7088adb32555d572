/* SPDX-License-Identifier: MIT */
/*
 * sockets.h: all the sockets that the daemon listens on. The supervisor's: they stay when a worker goes.
 */
#ifndef BROKER_SOCKETS_H
#define BROKER_SOCKETS_H

#include "audit.h"
#include "listen.h"
#include "options.h"

struct sockets {
	const struct options *options;
	struct audit_line *line;
	int log;
	struct listener listeners[OPTIONS_ADDRESSES_MAX];
	bool listening; /* on all of them */
};

/* For the addresses of `options`; `line` and `log` are for the record. Nothing listens yet. */
void sockets_init(
	struct sockets *sockets, const struct options *options, struct audit_line *line, int log);

/* Listens on all. 0, or a negative errno after a line on standard error; some may then be open. */
int sockets_open(struct sockets *sockets);

/* Closes all and removes the pathnames that are ours. */
void sockets_close(struct sockets *sockets);

#endif
