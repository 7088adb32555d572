/* SPDX-License-Identifier: MIT */
/*
 * open.h: the operation that hands out a file. Whatever path and flags a client sends, what comes back is a
 * file of a type that the policy allows, with the flags that were asked for, or an errno.
 */
#ifndef BROKER_OPEN_H
#define BROKER_OPEN_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Opens what `request` asks for, as open(2), for `peer`. A descriptor, the caller's of this function, or a
 * negative errno; `outcome` is filled in.
 *
 * Of its own: -EINVAL (flags or the path's form; the reason says which), -EACCES (the policy, or a file
 * of another type than it allows, or a symbolic link that leads nowhere). Everything else is the kernel's.
 */
int open_file(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

#endif
