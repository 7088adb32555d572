/* SPDX-License-Identifier: MIT */
/*
 * idmap.h: user namespaces for idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP), for the supervisor.
 */
#ifndef BROKER_IDMAP_H
#define BROKER_IDMAP_H

#include <stdint.h>

/* `count` ids on disk from `from` up are those from `uid`, and `gid`, up in the tree; all others are nobody. */
struct idmap {
	uint32_t from, uid, gid, count;
};

/*
 * Makes a user namespace with that map. It forks: nothing may be open that a child must not have. The
 * namespace's descriptor, close-on-exec, or a negative errno.
 */
int idmap_namespace(const struct idmap *map);

#endif
