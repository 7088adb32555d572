/* SPDX-License-Identifier: MIT */
/* making.c: see making.h: makes the views that the table names (making-table.h), and answers the worker. */
#include "making.h"

#include "clone.h"
#include "making-table.h"
#include "prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* ---- watches ---------------------------------------------------------------------------------- */

/* Ends the watches of `before` that no view has any more. Those of directories that are gone have ended. */
static void drop_unused(struct making *making, const struct watches *before)
{
	making->watcher.ending++;
	for (int k = 0; k < before->count; k++)
		if (!making_watches(making, before->descriptors[k]))
			inotify_rm_watch(making->watcher.inotify, before->descriptors[k]);
	making->watcher.ending++;
}

/* Of a walk that was overtaken (watch_directory). */
static void abandon(void *context, const struct watches *watches)
{
	struct making *making = context;

	pthread_mutex_lock(&making->mutex);
	drop_unused(making, watches);
	pthread_mutex_unlock(&making->mutex);
}

/* The watches as text, for the worker: "1 2 17". -ENAMETOOLONG where it is too long for a message. */
static int write_watches(const struct watches *watches, char *text)
{
	size_t used = 0;

	text[0] = '\0';
	for (int k = 0; k < watches->count; k++) {
		used += (size_t)snprintf(text + used, CHANNEL_TEXT_MAX + 1 - used, "%s%d",
			k ? " " : "", watches->descriptors[k]);
		if (used > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
	}
	return 0;
}

/* ---- making ----------------------------------------------------------------------------------- */

/*
 * Whether `error`, of cloning the directory, says that there can be no views here. That its ids cannot be mapped does
 * not: a mount beneath it may be mapped already, which is EPERM too.
 */
static bool denies_views(int directory, const struct made *made, int userns, int error)
{
	if (error != -EPERM && error != -ENOSYS)
		return false;
	if (userns < 0)
		return true;
	int view = clone_directory(directory, made->attributes, -1, NULL, NULL);
	if (view >= 0)
		close(view);
	return view == -EPERM || view == -ENOSYS;
}

/* Opens the directory, watched, and clones it. The view, and its home or -1, or a negative errno. */
static int open_view(
	struct making *making, struct made *made, int userns, uint32_t *attributes, int *home)
{
	int directory =
		watch_directory(&making->watcher, made->path, &made->coming, abandon, making);
	int view = directory;

	if (directory >= 0)
		view = clone_directory(directory, made->attributes, userns, making->homes, home);
	*attributes = 0;
	bool denied = directory >= 0 && denies_views(directory, made, userns, view);
	if (view == -EPERM && directory >= 0 && !denied)
		view = -EINVAL;
	if (denied && making->plain) {
		*attributes = VIEW_PLAIN;
		view = directory;
	} else if (directory >= 0) {
		close(directory);
	}
	*attributes |= made->coming.fold ? VIEW_FOLDS : 0;
	if (view >= 0 && prompt_is(view))
		*attributes |= VIEW_PROMPT;
	return view;
}

/* Makes a view, or makes it anew, without the lock. The answer goes into `message`. The view's home, or -1. */
static int make(struct making *making, struct made *made, struct channel_message *message)
{
	struct idmap map = made->map;
	int userns = -1, home = -1, view;
	uint32_t attributes = 0;

	/* Whom a tree is for is settled when it is asked for; what is mapped, when it was named. */
	if (map.uid == UINT32_MAX) {
		map.uid = message->uid;
		map.gid = message->gid;
	}
	pthread_mutex_lock(&making->mutex);
	if (made->attributes & VIEW_IDMAP)
		userns = idmap_find(&making->idmaps, &map);
	/* Signed before it is made: a mount that comes in between is noticed once too often. */
	made->mounts = making_sign(making, made->path);
	pthread_mutex_unlock(&making->mutex);
	if ((made->attributes & VIEW_IDMAP) && userns < 0)
		view = userns;
	else
		view = open_view(making, made, userns, &attributes, &home);
	if (userns >= 0)
		close(userns);

	int error = write_watches(&made->coming, message->text);
	if (error && view >= 0) {
		close(view);
		if (home >= 0)
			close(home);
		view = error;
		home = -1;
	}
	message->attributes = attributes;
	message->error = view < 0 ? -view : 0;
	message->descriptor = view < 0 ? -1 : view;
	return home;
}

static void renew(struct making *making, struct made *made, struct channel_message *message)
{
	struct watches before;

	made->coming.count = 0;
	made->coming.fold = false;
	int home = make(making, made, message);
	pthread_mutex_lock(&making->mutex);
	before = made->watches;
	made->watches = made->coming;
	int old = made->home;
	made->home = home;
	made->busy = false;
	drop_unused(making, &before);
	pthread_mutex_unlock(&making->mutex);
	if (old >= 0)
		close(old);
}

/* ---- answering -------------------------------------------------------------------------------- */

/* Of a template there is nothing to make yet; but whether it could be made is to be known before it is needed. */
static void probe(struct making *making, struct channel_message *message)
{
	pthread_mutex_lock(&making->mutex);
	if (!making->probed) {
		int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		int view = root < 0 ? -errno : clone_directory(root, 0, -1, NULL, NULL);
		if (root >= 0)
			close(root);
		if (view >= 0)
			close(view);
		making->probe = view < 0 ? view : 0;
		making->probed = true;
	}
	int error = making->probe;
	pthread_mutex_unlock(&making->mutex);
	bool plain = making->plain && (error == -EPERM || error == -ENOSYS);
	message->attributes = plain ? VIEW_PLAIN : 0;
	message->error = plain ? 0 : -error;
}

/* The device is opened here: a view in which that is possible is nothing to give away. 0 or -EPROTO. */
static int open_device(struct making *making, struct channel_message *message)
{
	char path[CHANNEL_TEXT_MAX + 1];
	uint32_t attributes;
	int error = making_find_devices(making, message, path, &attributes);
	int device = error ? error : watch_open(path);

	if (error == -EPROTO)
		return error;
	if (device >= 0) {
		int directory = device;
		device = clone_open_device(
			directory, attributes, message->text, (int)message->attributes);
		close(directory);
	}
	message->error = device < 0 ? -device : 0;
	message->descriptor = device < 0 ? -1 : device;
	message->text[0] = '\0';
	return 0;
}

int making_answer(struct making *making, struct channel_message *message)
{
	struct made *made;
	int error = 0;

	if (message->type == CHANNEL_DEVICE) {
		error = open_device(making, message);
	} else if (message->type == CHANNEL_TEMPLATE) {
		message->text[0] = '\0';
		probe(making, message);
	} else {
		error = making_find(making, message, &made);
		if (!error) {
			renew(making, made, message);
		} else if (error != -EPROTO) {
			message->attributes = 0;
			message->error = -error;
			message->descriptor = -1;
			message->text[0] = '\0';
			error = 0;
		}
	}
	message->type = CHANNEL_VIEW;
	return error;
}
