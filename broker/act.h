/* SPDX-License-Identifier: MIT */
/*
 * act.h: what a process does that has become somebody else (become.h): makes one socket or one inotify instance.
 * It runs in a child of a process with threads: so nothing here allocates or takes a lock.
 */
#ifndef BROKER_ACT_H
#define BROKER_ACT_H

#include "endpoint.h"

#include <stdint.h>
#include <sys/types.h>

enum act_kind { ACT_CONNECT, ACT_BIND, ACT_WATCH };

struct act {
	enum act_kind kind;
	/* Of a socket: */
	struct endpoint at;
	const char *name; /* of a UNIX socket: as it is to be, without the NUL of an abstract one */
	uid_t owner;	  /* of a pathname socket that is bound */
	gid_t group;
	/* Of an inotify instance: what to watch, which may be O_PATH, and for what (inotify_add_watch(2)). */
	int object;
	uint32_t mask;
};

/*
 * Does it, for as long as it takes. The descriptor, close-on-exec, or a negative errno: -ELOOP where a symbolic
 * link is on the way, or is what the name means; else those of socket(2), connect(2), bind(2) and
 * inotify_add_watch(2). *watch becomes the watch's number.
 */
int act_do(const struct act *act, int32_t *watch);

#endif
