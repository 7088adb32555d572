/* SPDX-License-Identifier: MIT */
/*
 * making.h: the maker's table of views: which ones its worker has named, making them, making them anew, and noticing
 * mounts. The worker names each view once, by its path, while it loads; afterwards it can ask for those again by
 * their number, and for nothing else. Where a path has variables, a template, it chooses whose directory it gets, by a
 * uid, and which of CHANNEL_SLOTS numbers that view goes by from then on.
 *
 * Several threads may make views at once, and any of them may hang on a file system: so nothing that touches one is
 * done under the table's lock.
 */
#ifndef BROKER_MAKING_H
#define BROKER_MAKING_H

#include "channel.h"

#include <stdbool.h>

struct making;

/*
 * NULL with errno. With `plain`, where the kernel or the lack of privilege denies views (-EPERM, -ENOSYS), a
 * directory's own descriptor is given in the place of its view, and the answer says so (VIEW_PLAIN).
 */
struct making *making_new(bool plain);

/* The inotify instance whose reports are the worker's; the table's own. */
int making_inotify(const struct making *making);

/*
 * Notes a VIEW or a TEMPLATE, in the order of the worker's, or a USER. 0; a negative errno where this is nothing that a
 * worker says.
 */
int making_name(struct making *making, const struct channel_message *message);

/* A number that stands for where the file system of that view is mounted: what hangs, hangs for all of these. */
uint64_t making_place(struct making *making, uint32_t index);

/*
 * Answers a VIEW or a TEMPLATE that has been noted, a RENEW, a CALLERS or a DEVICE. The answer is put in the place of
 * `message`; its descriptor is the caller's to send and to close. 0; a negative errno where this is nothing that a
 * worker says.
 */
int making_answer(struct making *making, struct channel_message *message);

/* What the worker has said about users: constant once it has loaded. */
const struct template_users *making_users(const struct making *making);

/*
 * What to poll for POLLPRI: readable where mounts came or went. making_mounts then calls `stale` with the
 * number of each view that they concern.
 */
int making_mounts_descriptor(const struct making *making);
void making_mounts(
	struct making *making, void (*stale)(void *context, uint32_t index), void *context);

#endif
