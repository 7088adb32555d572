/* SPDX-License-Identifier: MIT */
/*
 * tree.h: the operation that hands out a directory. Its holder opens what lies beneath with plain openat(2), with
 * its own permissions; the view keeps it inside, read-only unless the right was `write-tree`.
 */
#ifndef BROKER_TREE_H
#define BROKER_TREE_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Opens the tree that `request` names, for `peer`. A descriptor with a position of its own, the caller's of this
 * function, or a negative errno; `outcome` is filled in. No link is followed: a tree is named by its path.
 */
int tree_open(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

#endif
