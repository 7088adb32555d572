/* SPDX-License-Identifier: MIT */
#include "making.h"

#include "clone.h"
#include "mounts.h"
#include "prompt.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Views that a worker may name. */
#define VIEWS_MAX 65536

/* User namespaces that are kept: making one takes a process. */
#define NAMESPACES 64

struct made {
	char *path;
	uint32_t attributes;
	struct idmap map;
	uint64_t place;		/* mounts_place */
	uint64_t mounts;	/* mounts_signature, when it was made */
	struct watches watches; /* of the answer that was given last */
	bool busy;		/* some thread makes it, and adds to ... */
	struct watches coming;	/* ... these */
};

struct making {
	bool plain;
	int mountinfo;
	struct watcher watcher;
	pthread_mutex_t mutex; /* of what follows, but for the `coming` of who is busy */
	struct made **views;
	size_t count, room;
	/* The user namespaces made last: one for each caller of an idmapped tree. */
	struct {
		struct idmap map;
		int descriptor;
	} namespaces[NAMESPACES];
	unsigned int oldest;
	char *text; /* of mountinfo, when it was looked at last; NULL where it could not be */
};

struct making *making_new(bool plain)
{
	struct making *making = calloc(1, sizeof(*making));

	if (!making)
		return NULL;
	making->plain = plain;
	pthread_mutex_init(&making->mutex, NULL);
	for (unsigned int i = 0; i < NAMESPACES; i++)
		making->namespaces[i].descriptor = -1;
	making->watcher.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	making->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (making->watcher.inotify < 0 || making->mountinfo < 0) {
		free(making);
		return NULL;
	}
	making->text = mounts_read(making->mountinfo);
	return making;
}

int making_inotify(const struct making *making)
{
	return making->watcher.inotify;
}

/* ---- watches ---------------------------------------------------------------------------------- */

static bool has(const struct watches *watches, int watch)
{
	for (int k = 0; k < watches->count; k++)
		if (watches->descriptors[k] == watch)
			return true;
	return false;
}

static bool is_used(const struct making *making, int watch)
{
	for (size_t i = 0; i < making->count; i++) {
		const struct made *made = making->views[i];
		if (has(&made->watches, watch) || (made->busy && has(&made->coming, watch)))
			return true;
	}
	return false;
}

/* Ends the watches of `before` that no view has any more. Those of directories that are gone have ended. */
static void drop_unused(struct making *making, const struct watches *before)
{
	making->watcher.ending++;
	for (int k = 0; k < before->count; k++)
		if (!is_used(making, before->descriptors[k]))
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

static uint64_t sign_mounts(const struct making *making, const char *path)
{
	char *text = mounts_read(making->mountinfo);
	uint64_t signature = text ? mounts_signature(text, path) : 0;

	free(text);
	return signature;
}

/*
 * The namespace of that map: one that is kept, or a new one in the place of the oldest. A copy, since the oldest may
 * go at any time.
 */
static int find_namespace(struct making *making, const struct idmap *map)
{
	for (unsigned int i = 0; i < NAMESPACES; i++)
		if (making->namespaces[i].descriptor >= 0 &&
			memcmp(&making->namespaces[i].map, map, sizeof(*map)) == 0)
			return fcntl(making->namespaces[i].descriptor, F_DUPFD_CLOEXEC, 3);
	int namespace = idmap_namespace(map);
	if (namespace < 0)
		return namespace;
	unsigned int at = making->oldest++ % NAMESPACES;
	if (making->namespaces[at].descriptor >= 0)
		close(making->namespaces[at].descriptor);
	making->namespaces[at].map = *map;
	making->namespaces[at].descriptor = namespace;
	return fcntl(namespace, F_DUPFD_CLOEXEC, 3);
}

/* Opens the directory, watched, and clones it. The view or a negative errno. */
static int open_view(struct making *making, struct made *made, int namespace, uint32_t *attributes)
{
	int directory =
		watch_directory(&making->watcher, made->path, &made->coming, abandon, making);
	int view =
		directory < 0 ? directory : clone_directory(directory, made->attributes, namespace);

	*attributes = 0;
	if (directory >= 0 && making->plain && (view == -EPERM || view == -ENOSYS)) {
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

/* Makes a view, or makes it anew, without the lock. The answer goes into `message`. */
static void make(struct making *making, struct made *made, struct channel_message *message)
{
	struct idmap map = made->map;
	int namespace = -1, view;
	uint32_t attributes = 0;

	/* Whom a tree is for is settled when it is asked for; what is mapped, when it was named. */
	if (map.uid == UINT32_MAX) {
		map.uid = message->uid;
		map.gid = message->gid;
	}
	pthread_mutex_lock(&making->mutex);
	if (made->attributes & VIEW_IDMAP)
	namespace = find_namespace(making, &map);
	/* Signed before it is made: a mount that comes in between is noticed once too often. */
	made->mounts = sign_mounts(making, made->path);
	pthread_mutex_unlock(&making->mutex);
	if ((made->attributes & VIEW_IDMAP) && namespace < 0)
		view = namespace;
	else
		view = open_view(making, made, namespace, &attributes);
	if (namespace >= 0)
		close(namespace);

	int error = write_watches(&made->coming, message->text);
	if (error && view >= 0) {
		close(view);
		view = error;
	}
	message->type = CHANNEL_VIEW;
	message->attributes = attributes;
	message->error = view < 0 ? -view : 0;
	message->descriptor = view < 0 ? -1 : view;
}

static void renew(struct making *making, struct made *made, struct channel_message *message)
{
	struct watches before;

	made->coming.count = 0;
	made->coming.fold = false;
	make(making, made, message);
	pthread_mutex_lock(&making->mutex);
	before = made->watches;
	made->watches = made->coming;
	made->busy = false;
	drop_unused(making, &before);
	pthread_mutex_unlock(&making->mutex);
}

int making_name(struct making *making, const struct channel_message *message)
{
	struct made *made;

	if (message->index != making->count || making->count == VIEWS_MAX ||
		message->attributes >= 2 * VIEW_IDMAP || message->text[0] != '/')
		return -EPROTO;
	made = calloc(1, sizeof(*made));
	if (made)
		made->path = strdup(message->text);
	if (!made || !made->path) {
		free(made);
		return -ENOMEM;
	}
	made->attributes = message->attributes;
	made->map = message->map;
	pthread_mutex_lock(&making->mutex);
	made->place = making->text ? mounts_place(making->text, made->path) : 0;
	if (making->count == making->room) {
		size_t room = making->room ? 2 * making->room : 64;
		struct made **views = realloc(making->views, room * sizeof(*views));
		if (views) {
			making->views = views;
			making->room = room;
		}
	}
	bool noted = making->count < making->room;
	if (noted)
		making->views[making->count++] = made;
	pthread_mutex_unlock(&making->mutex);
	if (noted)
		return 0;
	free(made->path);
	free(made);
	return -ENOMEM;
}

/* ---- devices ---------------------------------------------------------------------------------- */

/* The device is opened here: a view in which that is possible is nothing to give away. */
static void open_device(const struct made *made, struct channel_message *message)
{
	int directory = watch_open(made->path);
	int device = directory;

	if (directory >= 0) {
		device = clone_open_device(
			directory, made->attributes, message->text, (int)message->attributes);
		close(directory);
	}
	message->type = CHANNEL_VIEW;
	message->error = device < 0 ? -device : 0;
	message->descriptor = device < 0 ? -1 : device;
	message->text[0] = '\0';
}

uint64_t making_place(struct making *making, uint32_t index)
{
	uint64_t place = 0;

	pthread_mutex_lock(&making->mutex);
	if (index < making->count)
		place = making->views[index]->place;
	pthread_mutex_unlock(&making->mutex);
	return place;
}

/* The view of that number, for whoever is to make it. 0 or -EPROTO. */
static int find(struct making *making, const struct channel_message *message, struct made **made)
{
	bool make = message->type != CHANNEL_DEVICE;
	int error = 0;

	pthread_mutex_lock(&making->mutex);
	*made = message->index < making->count ? making->views[message->index] : NULL;
	if (!*made || (make ? (*made)->busy : !((*made)->attributes & VIEW_DEVICE)))
		error = -EPROTO;
	else if (make)
		(*made)->busy = true;
	pthread_mutex_unlock(&making->mutex);
	return error;
}

int making_answer(struct making *making, struct channel_message *message)
{
	struct made *made;
	int error = find(making, message, &made);

	if (error)
		return error;
	if (message->type == CHANNEL_DEVICE)
		open_device(made, message);
	else
		renew(making, made, message);
	return 0;
}

/* ---- mounts ----------------------------------------------------------------------------------- */

int making_mounts_descriptor(const struct making *making)
{
	return making->mountinfo;
}

void making_mounts(
	struct making *making, void (*stale)(void *context, uint32_t index), void *context)
{
	pthread_mutex_lock(&making->mutex);
	char *text = mounts_read(making->mountinfo);
	for (size_t i = 0; i < making->count; i++) {
		struct made *made = making->views[i];
		uint64_t signature = text ? mounts_signature(text, made->path) : 0;
		if (text && signature == made->mounts)
			continue;
		made->mounts = signature;
		if (text)
			made->place = mounts_place(text, made->path);
		stale(context, (uint32_t)i);
	}
	free(making->text);
	making->text = text;
	pthread_mutex_unlock(&making->mutex);
}
