/* SPDX-License-Identifier: MIT */
/*
 * views.h: all that a worker can reach. A table of directory descriptors, one for each directory of the policy
 * and each set of attributes that its rights call for, made by the maker (maker.h, clone.h).
 *
 * A view shows one directory, whatever becomes of its name. When the name comes to mean another (a deploy by
 * rename, a rotation), or a mount comes or goes, the view is stale: it is closed at once, and made anew when it
 * is needed next. The kernel reports the first kind before the call that caused it returns (watch.h), so whoever
 * reads those reports before the next request never serves from a directory that has been replaced.
 *
 * A directory that the policy names with variables is another one for each caller. Its views are made when callers
 * need them; the table keeps as many as it has places for.
 *
 * It opens nothing itself, and names to the maker only what the policy names, while the worker loads. Any thread may
 * call what is below from "serving" on.
 */
#ifndef BROKER_VIEWS_H
#define BROKER_VIEWS_H

#include "clone.h"
#include "patience.h"
#include "policy.h"

struct questions;
struct views;

/*
 * For the views that `policy` calls for. `questions` is how to ask the maker; `inotify`
 * are its reports, which the table then owns. NULL where memory is short.
 */
struct views *views_new(const struct policy *policy, struct questions *questions, int inotify);
void views_free(struct views *views);

/*
 * Has every view made, while the worker loads. Of one that cannot be, `failed` is told; unless it returns 0 the
 * rest is not tried, and -ECANCELED is returned. Otherwise 0, or a negative errno: the maker is gone.
 */
int views_load(struct views *views,
	int (*failed)(
		void *context, const char *path, const char *file, unsigned int line, int error),
	void *context);
size_t views_count(const struct views *views);
/* Whether some are no views, because there can be none here: what is handed out can do more than its grant. */
bool views_plain(const struct views *views);

/* ---- serving ---- */

/* Keeps what a view shows open, although the view may have become another meanwhile. */
struct views_hold {
	struct shown *shown;
};

/* Whether names fold in a directory on the way to what is held (names.h). */
bool views_fold(const struct views_hold *hold);

/*
 * The descriptor (O_PATH, good until views_let_go) to open beneath for a decision on `directory` for `caller`; or the
 * negative errno with which making it failed. With VIEW_EXEC the one without is given where only that exists: a
 * descriptor may do less than its grant, never more. Where the view is stale this waits for the maker, two seconds at
 * most; -ETIMEDOUT. -EINPROGRESS where that, or the file system of the view, is beyond `patience`.
 */
int views_get(struct views *views, uint32_t directory, uint32_t attributes,
	const struct policy_caller *caller, enum patience patience, struct views_hold *hold);
void views_let_go(struct views_hold *hold);

/*
 * How many bytes of a path in a directory of the policy name what its view shows to `caller`: all of the directory's,
 * unless the policy has more directories than there are views of; 1 for "/".
 */
size_t views_prefix(
	const struct views *views, uint32_t directory, const struct policy_caller *caller);

/*
 * Opens a tree of the policy (policy_trees), for `caller`, whose group is `gid`. A descriptor that is the caller's of
 * this function, or a negative errno: -EACCES where there is no such tree here. `patience` as for views_get.
 */
int views_open_tree(struct views *views, uint32_t tree, bool writable,
	const struct policy_caller *caller, gid_t gid, enum patience patience);

/*
 * Has the maker open a device beneath the view, by its name there, with `flags` (open(2)), and waits for it. A
 * descriptor, the caller's of this function, which cannot be opened again with more; or a negative errno.
 */
int views_open_device(struct views *views, uint32_t directory, uint32_t attributes,
	const struct policy_caller *caller, const char *relative, int flags);

/*
 * The descriptor to poll for changes, and what each thread calls whenever it has polled, before it serves anything:
 * `changed` says whether the descriptor was readable.
 */
int views_descriptor(const struct views *views);
void views_changed(struct views *views, bool changed);

/* The maker says that the mounts have changed for the view of that number. */
void views_stale(struct views *views, uint32_t index);

/* The maker has made the view of that number after all, too late for who asked: it may be asked for again at once. */
void views_answer(struct views *views, uint32_t index);

#endif
