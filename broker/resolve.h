/* SPDX-License-Identifier: MIT */
/*
 * resolve.h: from a path that was asked for to a descriptor that may be handed out.
 *
 * The order is the safety: the path's form is checked, the policy decides on it, and only then is a
 * file system touched, beneath a view, through no symbolic link, so that what is opened is what was
 * decided on. A request that is denied touches nothing.
 */
#ifndef BROKER_RESOLVE_H
#define BROKER_RESOLVE_H

#include "policy.h"
#include "views.h"

/* What to resolve with. All of it is the worker's. */
struct resolver {
	const struct policy *policy;
	struct policy_scratch *scratch;
	const struct views *views;
};

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_ERROR };

/* How a request went, for the record. */
struct outcome {
	enum verdict verdict;
	uint32_t rights;		 /* what was asked of the policy; 0 before it was asked */
	struct policy_decision decision; /* the one that settled it; valid if `rights` is not 0 */
	const char *reason;		 /* static; NULL where the errno says it all */
};

/*
 * Opens `path` (any bytes) for `caller`, as open(2) with `flags` and `mode`. `owner` and `group`
 * are the caller's ids, for what is created. Returns a descriptor, the caller's of this function,
 * close-on-exec, or a negative errno; fills in `outcome` whole.
 *
 * Of its own: -EINVAL (flags or the path's form; the reason says which), -EACCES (the policy, or a
 * file of another type than the policy allows), -EOPNOTSUPP (O_TMPFILE). Everything else is the
 * kernel's.
 */
int resolve_open(const struct resolver *resolver, const struct policy_caller *caller, uid_t owner,
	gid_t group, const char *path, size_t length, uint64_t flags, uint32_t mode,
	struct outcome *outcome);

#endif
