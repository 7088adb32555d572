/* SPDX-License-Identifier: MIT */
/*
 * inotify.h: the operation that hands out an inotify instance, with one watch on it. The object is found here,
 * beneath a view; the maker makes the instance, as the caller, to whom it is charged (behalf.h).
 */
#ifndef BROKER_INOTIFY_H
#define BROKER_INOTIFY_H

#include "peer.h"
#include "request.h"
#include "resolve.h"

/*
 * Watches what `request` names, for `peer`. The instance, the caller's of this function, with the watch's number in
 * *watch; or a negative errno. `outcome` is filled in.
 */
int inotify_watch(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, int32_t *watch, struct outcome *outcome);

#endif
