/* SPDX-License-Identifier: MIT */
/*
 * sockets.h: all the sockets that the daemon listens on. The supervisor's: they stay when a worker goes.
 */
#ifndef BROKER_SOCKETS_H
#define BROKER_SOCKETS_H

#include "audit.h"
#include "inherit.h"
#include "listen.h"
#include "options.h"
#include "state.h"

struct sockets {
	const struct options *options;
	struct audit_line *line;
	int log;
	struct listener listeners[OPTIONS_ADDRESSES_MAX];
	unsigned int count;
	bool listening; /* on all of them */
	/* The addresses of those that were taken over (sockets_transfer). */
	char kept[OPTIONS_ADDRESSES_MAX][LISTEN_ADDRESS_MAX];
};

/*
 * For the sockets that are `inherited` (which must outlive this) and the addresses of `options`, but those that
 * are the default only where nothing is inherited. `line` and `log` are for the record. Nothing is
 * bound yet.
 */
void sockets_init(struct sockets *sockets, const struct options *options,
	const struct inherited *inherited, struct audit_line *line, int log);

/* Writes the addresses into `text`, separated by spaces. */
#define SOCKETS_TEXT (OPTIONS_ADDRESSES_MAX * LISTEN_ADDRESS_MAX)
void sockets_describe(const struct sockets *sockets, char text[SOCKETS_TEXT]);

/* Listens on all. 0, or a negative errno after a line on standard error; some may then be open. */
int sockets_open(struct sockets *sockets);

/*
 * Opens those anew that somebody has shut down, for all who share them. 0 or a negative errno, after a line on standard
 * error: an inherited one is gone for good.
 */
int sockets_mend(struct sockets *sockets);

/* Writes all of them, or reads them in the place of those of sockets_init (state.h). */
void sockets_transfer(struct sockets *sockets, struct state *state);

/* Closes all and removes the pathnames that are ours. */
void sockets_close(struct sockets *sockets);

#endif
