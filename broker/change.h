/* SPDX-License-Identifier: MIT */
/*
 * change.h: the operations that make and remove names, and hand nothing out: mkdir, rmdir, unlink, symlink. (Those
 * that give a file another name are in move.h, those that change what a file is like in attributes.h.)
 */
#ifndef BROKER_CHANGE_H
#define BROKER_CHANGE_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Each does what fdbroker-protocol.h says of its operation. 0 or a negative errno; `outcome` is filled in. Nothing
 * is changed before the last path has been looked up.
 *
 * What is made belongs to the rule's owner, and never has a set-uid, set-gid or sticky bit; what cannot be given to
 * its owner is removed again. -EAGAIN: somebody took it away before it had its owner.
 */
int change_mkdir(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int change_rmdir(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int change_unlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int change_symlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

#endif
