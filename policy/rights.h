/* SPDX-License-Identifier: MIT */
/*
 * rights.h: the names of the rights, and what one right brings with it.
 */
#ifndef POLICY_RIGHTS_H
#define POLICY_RIGHTS_H

#include "policy.h"
#include "suggest.h"

/* `deny all`: every right, on paths and addresses. */
#define RIGHTS_ALL UINT32_MAX

/* The right of that name; 0 where there is none. */
uint32_t right_by_name(const char *name, size_t length);
/* `rights` and all that comes with them (`stat` with whatever shows as much anyway). */
uint32_t rights_implied(uint32_t rights);
/* The highest of `rights`: the one that decides which directory a thing is opened beneath. */
uint32_t rights_highest(uint32_t rights);
/* Offers every right's name to `suggest`. */
void rights_suggest(struct suggest *suggest);

#endif
