/* SPDX-License-Identifier: MIT */
/*
 * anchors.h: which directories views are made of, where a policy names more of them than there should be views.
 * Pure. A view of a directory above serves as well: what may be opened in it, the policy decides anyway.
 */
#ifndef BROKER_ANCHORS_H
#define BROKER_ANCHORS_H

#include <stddef.h>
#include <stdint.h>

struct anchor {
	size_t length;	/* bytes of the path that name the directory to make a view of; 1 for "/" */
	uint32_t first; /* the number of the first path with the same one */
};

/*
 * Chooses an anchor for each of the `count` canonical paths: itself, or, so that there are at most `most`
 * different ones, what its first few components name; as many components as can be, the same number for all.
 * 0 or -ENOMEM.
 */
int anchors_choose(const char *const *paths, size_t count, size_t most, struct anchor *anchors);

#endif
