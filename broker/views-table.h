/* SPDX-License-Identifier: MIT */
/*
 * views-table.h: what the parts of views.h share, and nobody else sees. Each calls what is below it alone.
 *
 *	views-serving.c		what opens beneath them
 *	views.c			which views the policy calls for; loading
 *	views-made.c		having one made by the maker
 *	views-callers.c		views that are other ones for each caller
 *	views-reports.c		what the kernel and the maker report of changes
 *	views-links.c		by which watches a view depends on which directories
 *	views-shown.c		what a view shows, and for how long
 *
 * All below is done with the table's lock, unless it says otherwise.
 */
#ifndef BROKER_VIEWS_TABLE_H
#define BROKER_VIEWS_TABLE_H

#include "anchors.h"
#include "channel.h"
#include "views.h"

#include <pthread.h>
#include <stdatomic.h>

/* A view that no rule calls for. */
#define NONE UINT32_MAX

/* A watch that a view depends on: the watched directory is that of its path's first `depth` components. */
struct link {
	struct link *next; /* of those with the same hash */
	int watch;
	uint32_t view;
	unsigned int depth;
};

/* What a view shows at a time. It stays open for as long as somebody opens beneath it. */
struct shown {
	_Atomic unsigned int holders; /* the view itself is one */
	int descriptor;
	bool folds; /* names fold on its way (names.h) */
};

struct view {
	char *path;	  /* of the directory; NULL for one of a caller that is nobody's */
	const char *file; /* where the policy names it */
	unsigned int line;
	uint32_t attributes;
	struct idmap map;
	bool template; /* its path has variables: it is never made, but a view for each caller */
	struct shown *shown; /* NULL where there is none: */
	int error;	     /* the negative errno with which making it failed */
	bool stale, prompt;
	bool asked;   /* a thread has it made; others wait for that */
	int64_t hung; /* ms: until then it is not asked for again, since it hung; 0: it did not */
	struct link *links;
	int link_count;
};

/* Whose a view is that is behind the named ones in the list. */
struct whose {
	uint32_t template; /* the number of what it was made by, or NONE */
	uid_t uid;
	gid_t gid;     /* 0 where the view is the same for each */
	uint64_t used; /* when, by views.uses */
	uint32_t next; /* of those with the same hash, or NONE */
};

#define BUCKETS 1024

/* ms without another try, after a view could not be made in time. */
#define VIEWS_HUNG_TIME 5000

struct views {
	const struct policy *policy;
	const struct policy_directory *directories;
	size_t directory_count;
	struct questions *questions;
	void (*failed)(void *context, const char *path, const char *file, unsigned int line,
		int error); /* NULL: nobody is told */
	void *failed_context;
	int inotify;
	_Atomic bool plain;
	pthread_mutex_t reading; /* of whoever reads the reports */
	_Atomic bool
		changing; /* reports have been read, and what they say is not yet in the table */
	pthread_mutex_t mutex; /* of the views and links below */
	pthread_cond_t made;
	unsigned int reports;		/* counts what has been read of them */
	uint32_t (*kinds)[VIEW_KINDS];	/* of each directory: a number of `list`, or NONE */
	struct anchor *anchors;		/* of each directory: what there is a view of */
	uint32_t (*shared)[VIEW_KINDS]; /* of each that is the first with its anchor: the same */
	size_t tree_count;
	uint32_t (*trees)[2]; /* of each tree: the number of the read-only one, the writable one */
	struct view *list;    /* those that are named, and then those of callers */
	uint32_t count;	      /* of those that are named */
	uint32_t slots;	      /* of those of callers */
	struct whose whose[CHANNEL_SLOTS];
	uint32_t heads[CHANNEL_SLOTS]; /* by a hash of whose it is */
	uint64_t uses;
	struct link *buckets[BUCKETS];
};

/* Whether it is another one for each caller, although the directory is the same: none of those is kept. */
static inline bool view_is_mapped(const struct view *view)
{
	return (view->attributes & VIEW_IDMAP) && view->map.uid == UINT32_MAX;
}

/* Whose it is; NULL for a view that is named. */
static inline const struct whose *view_whose(const struct views *views, const struct view *view)
{
	size_t number = (size_t)(view - views->list);

	return number < views->count ? NULL : &views->whose[number - views->count];
}

/* ---- views-shown.c ---- */

/* Anybody's at any time. */
void shown_let_go(struct shown *shown);
/* The view shows nothing any more, and is stale. */
void view_close(struct view *view);

/* ---- views-links.c ---- */

/* Takes over the watches that the maker names, as text. 0, -ENOMEM or -EPROTO. */
int links_take(struct views *views, struct view *view, const char *text);
void links_drop(struct views *views, struct view *view);
/* The first of those among which, by `next`, all of that watch are; or NULL. */
const struct link *links_of(struct views *views, int watch);

/* ---- views-made.c ---- */

/* Puts the question for a view together, for a caller of those ids; the types are those of view_ask. */
void view_question(const struct views *views, const struct view *view, uint32_t type, uid_t uid,
	gid_t gid, struct channel_message *message);
/*
 * Puts the answer into the table, with the lock. `reports` is what was counted when it was asked for: one that has
 * been read since may have concerned a watch that was not known here yet. Then the view is good for who asked, and
 * for nobody later.
 */
void view_take_answer(struct views *views, struct view *view, const struct channel_message *message,
	unsigned int reports);
/*
 * Asks the maker for a view, for a caller of those ids (type: CHANNEL_VIEW, RENEW, TEMPLATE or CALLERS); without the
 * lock. 0, or a negative errno.
 */
int view_ask(struct views *views, const struct view *view, uint32_t type, uid_t uid, gid_t gid,
	struct channel_message *message);
/* Tells whoever is to know that the view could not be made; without the lock, while it is `asked`. */
void view_tell_failure(const struct views *views, const struct view *view, int error);
/*
 * Has a view made, named to the maker for the first time or again; the lock is given up meanwhile. 0, or a negative
 * errno: the maker does not answer, or is gone.
 */
int view_make(struct views *views, struct view *view, uint32_t type, uid_t uid, gid_t gid);
/*
 * Has a view that is stale made again. 0 or a negative errno; 1: another thread has just done so, the view is to be
 * looked for again; -EINPROGRESS: another is at it and waiting for that is beyond `patience` (if it hangs, those who
 * have none to lose are not to wait for it all at once).
 */
int view_freshen(struct views *views, struct view *view, enum patience patience);
/* Whether it is not to be asked for now, since it hung a moment ago; and that it did, or did not. */
bool view_is_hung(const struct view *view);
void view_set_hung(struct view *view, bool hung);

/* ---- views-callers.c ---- */

void callers_init(struct views *views);
/*
 * The view by a template that is the caller's. NULL where there is none, unless `make` is true: then there is one
 * afterwards, stale, in the place of the one that was used longest ago; NULL with a negative errno where that cannot
 * be.
 */
struct view *callers_find(struct views *views, uint32_t template,
	const struct policy_caller *caller, gid_t gid, bool make, int *error);
/* Tells the maker what it takes to expand the templates; without the lock. 0 or a negative errno. */
int callers_tell_users(struct views *views);

#endif
