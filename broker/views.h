/* SPDX-License-Identifier: MIT */
/*
 * views.h: all that a worker can reach. A table of directory descriptors, one for each directory of
 * the policy and each set of attributes that its rights call for, made by the supervisor (clone.h).
 *
 * The table is filled while the worker loads and does not change afterwards. It opens nothing
 * itself.
 */
#ifndef BROKER_VIEWS_H
#define BROKER_VIEWS_H

#include "policy.h"

/* What a view allows beyond reading. Every view is nosuid and nodev. */
enum view_attribute {
	VIEW_WRITABLE = 1u << 0, /* else read-only */
	VIEW_EXEC = 1u << 1,	 /* else noexec */
};
#define VIEW_KINDS 4

struct views;

/*
 * Asks `make` for each view that `policy` calls for: it returns a descriptor, which the table then
 * owns, or a negative errno, which views_get repeats to whoever needs that view; `make` may be
 * called as often as there are kinds for each directory. Returns 0, or -ENOMEM, or -ECANCELED as
 * soon as `make` does.
 */
int views_fill(const struct policy *policy,
	int (*make)(void *context, const struct policy_directory *directory, uint32_t attributes),
	void *context, struct views **views);
void views_free(struct views *views);

/*
 * The descriptor (O_PATH, the table's own) to open beneath for a decision on `directory`, or the
 * negative errno with which making it failed. With VIEW_EXEC the one without is given where only
 * that exists: a descriptor may do less than its grant, never more.
 */
int views_get(const struct views *views, uint32_t directory, uint32_t attributes);

#endif
