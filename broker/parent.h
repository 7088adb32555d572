/* SPDX-License-Identifier: MIT */
/*
 * parent.h: names that are made, removed or given away. Such a name is not followed, whatever it is: it is
 * resolved as one component in its parent directory, which is opened as everything is (resolve.h), so that what
 * is done with the name is done where the policy was asked about.
 */
#ifndef BROKER_PARENT_H
#define BROKER_PARENT_H

#include "resolve.h"

/* Where a name is. */
struct parent {
	int directory;	  /* O_PATH, of a view; whoever opened it closes it */
	const char *name; /* one component, a part of the resolution's path */
};

/*
 * Opens the parent of the path as it now stands, beneath the view of `decision`, which allows `rights`. 0; 1 where a
 * link among the directories was followed: decide again; or a negative errno: -EBUSY where the path is "/", -EAGAIN
 * where the way changes all the time.
 */
int parent_look(struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision, struct parent *parent);

/*
 * All of it for an operation that takes one set of rights on one name: decides, looks, and follows links. 0, or
 * what the caller is to be told.
 */
int parent_open(struct resolution *resolution, uint32_t rights, struct policy_decision *decision,
	struct parent *parent);

#endif
