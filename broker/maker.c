/* SPDX-License-Identifier: MIT */
#include "maker.h"

#include "clone.h"
#include "mounts.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
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
	uint64_t mounts; /* mounts_signature, when it was made */
	struct watches watches;
};

struct maker {
	bool plain;
	int inotify, mountinfo;
	struct made **views;
	size_t count, room;
	/* The user namespaces made last: one for each caller of an idmapped tree. */
	struct {
		struct idmap map;
		int descriptor;
	} namespaces[NAMESPACES];
	unsigned int oldest;
};

struct maker *maker_new(bool plain, int *inotify)
{
	struct maker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return NULL;
	maker->plain = plain;
	for (unsigned int i = 0; i < NAMESPACES; i++)
		maker->namespaces[i].descriptor = -1;
	maker->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	maker->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (maker->inotify < 0 || maker->mountinfo < 0) {
		int error = errno;
		maker_free(maker);
		errno = error;
		return NULL;
	}
	*inotify = maker->inotify;
	return maker;
}

void maker_free(struct maker *maker)
{
	if (!maker)
		return;
	for (unsigned int i = 0; i < NAMESPACES; i++)
		if (maker->namespaces[i].descriptor >= 0)
			close(maker->namespaces[i].descriptor);
	for (size_t i = 0; i < maker->count; i++) {
		free(maker->views[i]->path);
		free(maker->views[i]);
	}
	free(maker->views);
	if (maker->inotify >= 0)
		close(maker->inotify);
	if (maker->mountinfo >= 0)
		close(maker->mountinfo);
	free(maker);
}

/* ---- watches ---------------------------------------------------------------------------------- */

static bool is_used(const struct maker *maker, int watch)
{
	for (size_t i = 0; i < maker->count; i++) {
		const struct watches *watches = &maker->views[i]->watches;
		for (int k = 0; k < watches->count; k++)
			if (watches->descriptors[k] == watch)
				return true;
	}
	return false;
}

/* Ends the watches of `before` that no view has any more. Those of directories that are gone have ended. */
static void drop_unused(struct maker *maker, const struct watches *before)
{
	for (int k = 0; k < before->count; k++)
		if (!is_used(maker, before->descriptors[k]))
			inotify_rm_watch(maker->inotify, before->descriptors[k]);
}

/* Of a walk that was overtaken (watch_directory). */
static void abandon(void *context, const struct watches *watches)
{
	drop_unused(context, watches);
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

static uint64_t sign_mounts(const struct maker *maker, const char *path)
{
	char *text = mounts_read(maker->mountinfo);
	uint64_t signature = text ? mounts_signature(text, path) : 0;

	free(text);
	return signature;
}

/* The namespace of that map, the maker's: one that is kept, or a new one in the place of the oldest. */
static int find_namespace(struct maker *maker, const struct idmap *map)
{
	for (unsigned int i = 0; i < NAMESPACES; i++)
		if (maker->namespaces[i].descriptor >= 0 &&
			memcmp(&maker->namespaces[i].map, map, sizeof(*map)) == 0)
			return maker->namespaces[i].descriptor;
	int namespace = idmap_namespace(map);
	if (namespace < 0)
		return namespace;
	unsigned int at = maker->oldest++ % NAMESPACES;
	if (maker->namespaces[at].descriptor >= 0)
		close(maker->namespaces[at].descriptor);
	maker->namespaces[at].map = *map;
	maker->namespaces[at].descriptor = namespace;
	return namespace;
}

/* Opens the directory, watched, and clones it. The view or a negative errno. */
static int open_view(struct maker *maker, struct made *made, const struct idmap *map, bool *plain)
{
	int namespace = -1, directory, view;

	/* First, since it forks: a child must have no part in a clone that is not yet dissolved. */
	if (made->attributes & VIEW_IDMAP) {
		namespace = find_namespace(maker, map);
		if (namespace < 0)
			return namespace;
	}
	directory = watch_directory(maker->inotify, made->path, &made->watches, abandon, maker);
	view = directory < 0 ? directory : clone_directory(directory, made->attributes, namespace);
	*plain = directory >= 0 && maker->plain && (view == -EPERM || view == -ENOSYS);
	if (*plain)
		return directory;
	if (directory >= 0)
		close(directory);
	return view;
}

/* Makes a view, or makes it anew. The answer goes into `message`. */
static void make(struct maker *maker, struct made *made, struct channel_message *message)
{
	struct watches before = made->watches;
	struct idmap map = made->map;

	/* Whom a tree is for is settled when it is asked for; what is mapped, when it was named. */
	map.uid = made->map.uid == UINT32_MAX ? message->map.uid : made->map.uid;
	map.gid = made->map.uid == UINT32_MAX ? message->map.gid : made->map.gid;
	/* Signed before it is made: a mount that comes in between is noticed once too often. */
	made->mounts = sign_mounts(maker, made->path);
	bool plain = false;
	int view = open_view(maker, made, &map, &plain);
	drop_unused(maker, &before);
	int error = write_watches(&made->watches, message->text);
	if (error && view >= 0) {
		close(view);
		view = error;
	}
	message->type = CHANNEL_VIEW;
	message->attributes = (plain ? VIEW_PLAIN : 0) | (made->watches.fold ? VIEW_FOLDS : 0);
	message->error = view < 0 ? -view : 0;
	message->descriptor = view < 0 ? -1 : view;
}

static int name_view(struct maker *maker, struct channel_message *message)
{
	struct made *made;

	if (message->index != maker->count || maker->count == VIEWS_MAX ||
		message->attributes >= 2 * VIEW_IDMAP || message->text[0] != '/')
		return -EPROTO;
	if (maker->count == maker->room) {
		size_t room = maker->room ? 2 * maker->room : 64;
		struct made **views = realloc(maker->views, room * sizeof(*views));
		if (!views)
			return -ENOMEM;
		maker->views = views;
		maker->room = room;
	}
	made = calloc(1, sizeof(*made));
	if (made)
		made->path = strdup(message->text);
	if (!made || !made->path) {
		free(made);
		return -ENOMEM;
	}
	made->attributes = message->attributes;
	made->map = message->map;
	maker->views[maker->count++] = made;
	make(maker, made, message);
	return 0;
}

/* ---- devices ---------------------------------------------------------------------------------- */

/* The device is opened here: a view in which that is possible is nothing to give away. */
static void open_device(struct maker *maker, struct made *made, struct channel_message *message)
{
	struct watches before = made->watches;
	int directory = watch_directory(maker->inotify, made->path, &made->watches, abandon, maker);
	int device = directory;

	if (directory >= 0) {
		device = clone_open_device(
			directory, made->attributes, message->text, (int)message->attributes);
		close(directory);
	}
	/* The worker knows the watches of the view, which stay. */
	struct watches found = made->watches;
	made->watches = before;
	drop_unused(maker, &found);
	message->type = CHANNEL_VIEW;
	message->error = device < 0 ? -device : 0;
	message->descriptor = device < 0 ? -1 : device;
	message->text[0] = '\0';
}

int maker_answer(struct maker *maker, bool loading, struct channel_message *message)
{
	struct made *made = NULL;

	if (message->descriptor >= 0)
		return -EPROTO;
	if (message->type == CHANNEL_VIEW)
		return loading ? name_view(maker, message) : -EPROTO;
	if (message->index < maker->count)
		made = maker->views[message->index];
	if (made && message->type == CHANNEL_RENEW) {
		make(maker, made, message);
		return 0;
	}
	if (made && message->type == CHANNEL_DEVICE && (made->attributes & VIEW_DEVICE)) {
		open_device(maker, made, message);
		return 0;
	}
	return -EPROTO;
}

/* ---- mounts ----------------------------------------------------------------------------------- */

int maker_mounts_descriptor(const struct maker *maker)
{
	return maker->mountinfo;
}

void maker_mounts(struct maker *maker, void (*stale)(void *context, uint32_t index), void *context)
{
	char *text = mounts_read(maker->mountinfo);

	for (size_t i = 0; i < maker->count; i++) {
		struct made *made = maker->views[i];
		uint64_t signature = text ? mounts_signature(text, made->path) : 0;
		if (text && signature == made->mounts)
			continue;
		made->mounts = signature;
		stale(context, (uint32_t)i);
	}
	free(text);
}
