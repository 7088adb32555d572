/* SPDX-License-Identifier: MIT */
/*
 * maker.h: the supervisor's side of the views: which ones its worker has named, making them, making them anew,
 * and noticing mounts. The worker names each view once, by its path, while it loads; afterwards it can ask for
 * those again by their number, and for nothing else.
 */
#ifndef BROKER_MAKER_H
#define BROKER_MAKER_H

#include "channel.h"

#include <stdbool.h>

struct maker;

/*
 * For one worker. NULL with errno. The inotify instance is the maker's; the worker gets a copy of it. With
 * `plain`, where the kernel or the lack of privilege denies views (-EPERM, -ENOSYS), a directory's own descriptor
 * is given in the place of its view, and the answer says so (VIEW_PLAIN).
 */
struct maker *maker_new(bool plain, int *inotify);
void maker_free(struct maker *maker);

/*
 * Answers a VIEW (the worker loads: it names a view and gets it), a RENEW (it asks for one again) or a DEVICE (it
 * asks for a device beneath one). The answer is put in the place of `message`; its descriptor is the caller's to
 * send and to close. 0; a negative errno where this is nothing that a worker says.
 */
int maker_answer(struct maker *maker, bool loading, struct channel_message *message);

/*
 * What to poll for POLLPRI: readable where mounts came or went. maker_mounts then calls `stale` with the
 * number of each view that they concern.
 */
int maker_mounts_descriptor(const struct maker *maker);
void maker_mounts(struct maker *maker, void (*stale)(void *context, uint32_t index), void *context);

#endif
