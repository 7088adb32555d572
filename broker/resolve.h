/* SPDX-License-Identifier: MIT */
/*
 * resolve.h: from a path that was asked for to a place where it may be opened.
 *
 * The order is the safety: the path's form is checked, the policy decides on it, and only then is a
 * file system touched, beneath a view, through no symbolic link, so that what is opened is what was
 * decided on. A request that is denied touches nothing. A symbolic link is read where it stands, which
 * was granted; then the policy decides on the path that it leads to, as if that had been asked for.
 *
 *	resolve_start		the form, and the policy's `map`
 *	resolve_decide		may the caller have these rights on the path as it now stands?
 *	resolve_view		the view to open it in, and its name there
 *	resolve_beneath		opens; -ELOOP means that a symbolic link is in the way:
 *	resolve_follow		puts what the first link says in its place; then decide again
 */
#ifndef BROKER_RESOLVE_H
#define BROKER_RESOLVE_H

#include "policy.h"
#include "views.h"

/* Resolutions that one request may take: a rename has two. */
#define RESOLVE_HOLDS 4

/* The views that are held for the request under way. */
struct resolve_holds {
	unsigned int used;
	struct views_hold holds[RESOLVE_HOLDS];
};

/* What a thread resolves with. */
struct questions;

struct resolver {
	const struct policy *policy;
	struct policy_scratch *scratch;
	struct views *views;
	struct resolve_holds *holds;
	bool denies;		     /* there are any in the policy */
	struct questions *questions; /* to the maker */
	int client; /* the caller's socket, for what is done in his name (behalf.h); -1: none here */
	uint32_t number;	/* with it, the supervisor's number for him (vouch.h) */
	int64_t deadline;	/* ms: when the request is to be done; of use only with `client` */
	enum patience patience; /* the thread's: what takes more is -EINPROGRESS */
	const _Atomic bool
		*cancelled; /* nobody waits for the request any more; NULL where that cannot be */
};

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_ERROR };

/* How a request went, for the record. */
struct outcome {
	enum verdict verdict;
	uint32_t rights;		 /* what was asked of the policy; 0 before it was asked */
	struct policy_decision decision; /* the one that settled it; valid if `rights` is not 0 */
	const char *reason;		 /* static; NULL where the errno says it all */
	/* The path decided on last, where links or a `map` made another of the one asked for; else "". */
	char opened[POLICY_PATH_BUFFER];
};

/* A path on its way. */
struct resolution {
	const struct resolver *resolver;
	const struct policy_caller *caller;
	struct outcome *outcome;
	struct views_hold *hold;       /* of the view that was resolved last */
	char path[POLICY_PATH_BUFFER]; /* canonical, NUL-terminated */
	size_t length;
	unsigned int links; /* followed so far */
	bool last_followed; /* one of them was the last component: nothing is created there */
};

/* The links that are followed at most, as the kernel does (path_resolution(7)). */
#define RESOLVE_LINKS_MAX 40
/* How often something that changes under one's hands is tried. */
#define RESOLVE_TRIES 4

/*
 * Starts on `path` (any bytes). 0, -EINVAL, -ENOENT or -ENAMETOOLONG, with the reason in `outcome`, which
 * is filled in whole and belongs to the resolution from then on.
 */
int resolve_start(struct resolution *resolution, const struct resolver *resolver,
	const struct policy_caller *caller, const char *path, size_t length,
	struct outcome *outcome);

/* When a request is done: lets go of what its resolutions held. */
void resolve_end(const struct resolver *resolver);

/* Asks the policy, and nobody else. */
bool resolve_decide(
	const struct resolution *resolution, uint32_t rights, struct policy_decision *decision);

/* Puts a decision on `rights` into the outcome as the one that settles it. */
void resolve_settle(const struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision);

/* The attributes (enum view_attribute) of the view for `rights` as `decision` allows them. */
uint32_t resolve_attributes(uint32_t rights, const struct policy_decision *decision);

/*
 * The view in which `decision`, which allows `rights`, lets the path be opened; *relative becomes its name
 * in there, a part of resolution->path. A negative errno where there is no such view. It is good until the
 * next call for the same resolution, or resolve_end.
 */
int resolve_view(struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision, const char **relative);

/*
 * Whether the file system at the path knows files by other names than those that the policy was asked about
 * (vfat, cifs, a directory that folds case), or may (FUSE), while a deny could mean one of them. 0 or -EACCES; to
 * be asked before anything there is opened.
 */
int resolve_check_names(const struct resolution *resolution, int view, const char *relative);

/*
 * openat2(2) beneath `view`, close-on-exec, through no symbolic link. A descriptor or a negative errno:
 * -ELOOP where a link is in the way, also as the last component unless `flags` have O_PATH | O_NOFOLLOW;
 * -EINPROGRESS where it takes more than the thread's patience.
 */
int resolve_beneath(
	const struct resolver *resolver, int view, const char *relative, int flags, mode_t mode);

/*
 * After -ELOOP: finds the first link beneath `view` on the way of `relative` and puts the path that it
 * leads to in the place of resolution->path (so that `relative` is no longer valid). With `last` false
 * the last component is a name that is not to be followed. 0: decide again. -EACCES: it leads nowhere, or
 * there are too many. -ELOOP: only the last component is a link, and is not to be followed.
 */
int resolve_follow(struct resolution *resolution, int view, const char *relative, bool last);

/* What the caller is told of `error`: once a link was followed it learns nothing of what lies there. */
int resolve_error(const struct resolution *resolution, int error);

/*
 * All of this for an operation that takes one set of rights, wants the file there to be and opens it with
 * `flags` (of openat2(2)). With O_NOFOLLOW a link as the last component is not followed: it is opened
 * itself with O_PATH, and -ELOOP without. A descriptor, or what the caller is to be told.
 */
int resolve_open(struct resolution *resolution, uint32_t rights, int flags,
	struct policy_decision *decision);

#endif
