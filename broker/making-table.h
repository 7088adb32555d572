/* SPDX-License-Identifier: MIT */
/*
 * making-table.h: what making.c and making-table.c share: which views there are, and of each what is known of it. The
 * table touches no file system but for mountinfo; making.c makes what it names.
 */
#ifndef BROKER_MAKING_TABLE_H
#define BROKER_MAKING_TABLE_H

#include "home.h"
#include "idmap.h"
#include "making.h"
#include "template.h"
#include "watch.h"

#include <pthread.h>

struct made {
	char *path;
	uint32_t attributes;
	struct idmap map;
	uint64_t place;		/* mounts_place */
	uint64_t mounts;	/* mounts_signature, when it was made */
	int home;		/* keeps what was made last attached (home.h), or -1 */
	struct watches watches; /* of the answer that was given last */
	uint32_t asked;		/* of a slot: the question by which it was taken last */
	bool busy;		/* some thread makes it, and adds to ... */
	struct watches coming;	/* ... these */
};

/* What the worker has named. Constant from then on. */
struct named {
	char *path; /* of a template: with variables */
	uint32_t attributes;
	struct idmap map;
	struct made *made; /* NULL for a template: there is one for each caller, in a slot */
};

struct making {
	bool plain;
	int mountinfo;
	struct watcher watcher;
	struct homes *homes;   /* NULL: there are none */
	pthread_mutex_t mutex; /* of what follows, but for the `coming` of who is busy */
	struct named *named;
	size_t count, room;
	struct made *slots[CHANNEL_SLOTS]; /* numbered behind what is named; NULL: never used */
	struct template_users users;
	bool probed; /* ... whether there can be views at all: */
	int probe;   /* 0 or a negative errno */
	struct idmaps idmaps;
	char *text; /* of mountinfo, when it was looked at last; NULL where it could not be */
};

/* Whether any view has the watch. With the lock. */
bool making_watches(const struct making *making, int watch);

/* Of the mounts that concern the path, as they are now (mounts_signature). */
uint64_t making_sign(const struct making *making, const char *path);

/*
 * The view to be made, for whoever is to make it: nobody else does until `busy` is false again. 0, or a negative errno:
 * -EPROTO where a worker does not ask for this, -ETIMEDOUT where it is being made already, those of template_expand.
 */
int making_find(struct making *making, const struct channel_message *message, struct made **made);

/* Where a device is to be opened, and in what. -EACCES where not for that; other errors as of making_find. */
int making_find_devices(struct making *making, const struct channel_message *message,
	char path[CHANNEL_TEXT_MAX + 1], uint32_t *attributes);

#endif
