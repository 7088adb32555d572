/* SPDX-License-Identifier: MIT */
/* attributes.h: the operations that change what a file is like, and not its name: chmod and utimens. */
#ifndef BROKER_ATTRIBUTES_H
#define BROKER_ATTRIBUTES_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Each does what fdbroker-protocol.h says of its operation. 0 or a negative errno; `outcome` is filled in. Of its
 * own: -EPERM (chmod: a set-uid, set-gid or sticky bit), -EACCES (the policy, or a type of file that it does not
 * allow).
 */
int attributes_chmod(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int attributes_utimens(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

#endif
