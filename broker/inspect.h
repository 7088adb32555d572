/* SPDX-License-Identifier: MIT */
/*
 * inspect.h: the operations that tell about files and hand none out: stat, access, readlink, list. What they
 * open on the way is closed again before they return.
 */
#ifndef BROKER_INSPECT_H
#define BROKER_INSPECT_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/* Bytes of data that an operation may put into its reply. With its header it fits, as one message, into the
 * send buffer of a connection (connection.c). */
#define INSPECT_DATA_MAX 16384

/*
 * Each does what fdbroker-protocol.h says of its operation, writes at most INSPECT_DATA_MAX bytes to `data`,
 * and returns how many, or a negative errno; `outcome` is filled in.
 */
ssize_t inspect_stat(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome);
ssize_t inspect_access(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome);
ssize_t inspect_readlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome);
ssize_t inspect_list(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome);

#endif
