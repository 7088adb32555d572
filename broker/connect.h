/* SPDX-License-Identifier: MIT */
/*
 * connect.h: the operations that hand out sockets: connected, and bound. The policy decides here; the maker makes them,
 * as the caller (behalf.h).
 */
#ifndef BROKER_CONNECT_H
#define BROKER_CONNECT_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Makes the socket that `request` names, for `peer`. A descriptor, the caller's of this function, or a negative errno;
 * `outcome` is filled in. Nobody knows how long it takes: it wants all patience, once the policy allows it.
 */
int connect_socket(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int connect_bind(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

/* While the worker loads: names the policy's sockets to the maker. 0 or a negative errno. */
int connect_name_rules(const struct policy *policy, struct questions *questions);

#endif
