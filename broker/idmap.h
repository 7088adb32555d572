/* SPDX-License-Identifier: MIT */
/*
 * idmap.h: user namespaces for idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP), for the maker.
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

/* Those that were made last are kept: making one takes a process. Starts as zero bytes. */
#define IDMAPS_KEPT 64
struct idmaps {
	struct {
		struct idmap map;
		int descriptor;
	} kept[IDMAPS_KEPT];
	unsigned int made; /* so far */
};

/*
 * The namespace of that map: one that is kept, or a new one in the place of the oldest. A copy, the caller's, since the
 * oldest may go at any time; or a negative errno.
 */
int idmap_find(struct idmaps *idmaps, const struct idmap *map);

#endif
