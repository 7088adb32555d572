/* SPDX-License-Identifier: MIT */
/* move.h: the operations that give a file another name: rename, which takes the old one away, and link. */
#ifndef BROKER_MOVE_H
#define BROKER_MOVE_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Each does what fdbroker-protocol.h says of its operation; policy_decide_move decides. 0 or a negative errno;
 * `outcome` is filled in. Nothing is changed before the last path has been looked up. Of their own:
 * -EXDEV (the rules of the two names are about different directories), -EPERM (link: the file has a set-uid, set-gid
 * or sticky bit), -EACCES (the policy; link: a type of file that it does not allow).
 */
int move_rename(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);
int move_link(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome);

#endif
