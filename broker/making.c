/* SPDX-License-Identifier: MIT */
#include "making.h"

#include "clone.h"
#include "confine.h"
#include "home.h"
#include "mounts.h"
#include "prompt.h"
#include "template.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Views and templates that a worker may name. */
#define NAMED_MAX (1u << 20)

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

/* The thread of the homes takes what views take, whatever the policy is. */
static int narrow_homes(void)
{
	return confine_maker(0);
}

struct making *making_new(bool plain)
{
	struct making *making = calloc(1, sizeof(*making));

	if (!making)
		return NULL;
	making->plain = plain;
	pthread_mutex_init(&making->mutex, NULL);
	making->watcher.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	making->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (making->watcher.inotify < 0 || making->mountinfo < 0) {
		free(making);
		return NULL;
	}
	making->homes = home_start(narrow_homes);
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

/* One more than there are numbers for views. */
static size_t end(const struct making *making)
{
	return making->count + CHANNEL_SLOTS;
}

/* The view of that number; NULL for a template, and for a slot that was never used. */
static struct made *numbered(const struct making *making, size_t number)
{
	return number < making->count ? making->named[number].made
				      : making->slots[number - making->count];
}

static bool is_used(const struct making *making, int watch)
{
	for (size_t i = 0; i < end(making); i++) {
		const struct made *made = numbered(making, i);
		if (!made)
			continue;
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
 * Whether `error`, of cloning the directory, says that there can be no views here. That its ids cannot be mapped does
 * not: a mount beneath it may be mapped already, which is EPERM too.
 */
static bool denies_views(int directory, const struct made *made, int namespace, int error)
{
	if (error != -EPERM && error != -ENOSYS)
		return false;
	if (namespace < 0)
		return true;
	int view = clone_directory(directory, made->attributes, -1, NULL, NULL);
	if (view >= 0)
		close(view);
	return view == -EPERM || view == -ENOSYS;
}

/* Opens the directory, watched, and clones it. The view, and its home or -1, or a negative errno. */
static int open_view(
	struct making *making, struct made *made, int namespace, uint32_t *attributes, int *home)
{
	int directory =
		watch_directory(&making->watcher, made->path, &made->coming, abandon, making);
	int view = directory;

	if (directory >= 0)
		view = clone_directory(directory, made->attributes, namespace, making->homes, home);
	*attributes = 0;
	bool denied = directory >= 0 && denies_views(directory, made, namespace, view);
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
	int namespace = -1, home = -1, view;
	uint32_t attributes = 0;

	/* Whom a tree is for is settled when it is asked for; what is mapped, when it was named. */
	if (map.uid == UINT32_MAX) {
		map.uid = message->uid;
		map.gid = message->gid;
	}
	pthread_mutex_lock(&making->mutex);
	if (made->attributes & VIEW_IDMAP)
	namespace = idmap_find(&making->idmaps, &map);
	/* Signed before it is made: a mount that comes in between is noticed once too often. */
	made->mounts = sign_mounts(making, made->path);
	pthread_mutex_unlock(&making->mutex);
	if ((made->attributes & VIEW_IDMAP) && namespace < 0)
		view = namespace;
	else
		view = open_view(making, made, namespace, &attributes, &home);
	if (namespace >= 0)
		close(namespace);

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

/* ---- naming ----------------------------------------------------------------------------------- */

static bool reserve(struct making *making)
{
	size_t room = making->room ? 2 * making->room : 64;
	struct named *list;

	if (making->count < making->room)
		return true;
	list = realloc(making->named, room * sizeof(*list));
	if (!list)
		return false;
	making->named = list;
	making->room = room;
	return true;
}

static bool is_proper(const struct making *making, const struct channel_message *message)
{
	return message->index == making->count && making->count < NAMED_MAX &&
	       message->attributes < 2 * VIEW_IDMAP &&
	       (message->text[0] == '/' ||
		       (message->type == CHANNEL_TEMPLATE && message->text[0] == '%'));
}

/* With the lock. 0 or -ENOMEM. */
static int add_named(struct making *making, const struct channel_message *message)
{
	struct named named = {.attributes = message->attributes, .map = message->map};

	if (!reserve(making))
		return -ENOMEM;
	named.path = strdup(message->text);
	if (named.path && message->type != CHANNEL_TEMPLATE) {
		named.made = calloc(1, sizeof(*named.made));
		if (named.made)
			*named.made = (struct made){
				.path = named.path,
				.attributes = named.attributes,
				.map = named.map,
				.home = -1,
				.place = making->text ? mounts_place(making->text, named.path) : 0,
			};
	}
	if (!named.path || (message->type != CHANNEL_TEMPLATE && !named.made)) {
		free(named.path);
		return -ENOMEM;
	}
	making->named[making->count++] = named;
	return 0;
}

int making_name(struct making *making, const struct channel_message *message)
{
	int error = -EPROTO;

	pthread_mutex_lock(&making->mutex);
	if (message->type == CHANNEL_USER)
		error = template_remember(&making->users, message);
	else if (is_proper(making, message))
		error = add_named(making, message);
	pthread_mutex_unlock(&making->mutex);
	return error;
}

uint64_t making_place(struct making *making, uint32_t index)
{
	uint64_t place = 0;

	pthread_mutex_lock(&making->mutex);
	if (index < making->count && making->named[index].made)
		place = making->named[index].made->place;
	pthread_mutex_unlock(&making->mutex);
	return place;
}

const struct template_users *making_users(const struct making *making)
{
	return &making->users;
}

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

/* ---- answering -------------------------------------------------------------------------------- */

static struct made *new_slot(void)
{
	struct made *made = calloc(1, sizeof(*made));

	if (made)
		made->home = -1;
	return made;
}

/*
 * Makes the slot that of the template and the caller that are asked for, with the lock. 0, or a negative errno: -EPROTO
 * where a worker does not ask for this, -ETIMEDOUT where the slot is still busy, those of template_expand.
 */
static int take_slot(
	struct making *making, const struct channel_message *message, struct made **made)
{
	const struct named *template;
	char path[CHANNEL_TEXT_MAX + 1];
	int error;

	if (message->index < making->count || message->index >= end(making) ||
		message->attributes >= making->count)
		return -EPROTO;
	template = &making->named[message->attributes];
	if (template->made)
		return -EPROTO;
	struct made **slot = &making->slots[message->index - making->count];
	if (!*slot)
		*slot = new_slot();
	if (!*slot)
		return -ENOMEM;
	/* One that was overtaken has been given up, and the slot is another caller's by now. */
	if ((*slot)->busy || (int32_t)(message->id - (*slot)->asked) < 0)
		return -ETIMEDOUT;
	error = template_expand(&making->users, template->path, message->uid, path);
	char *copy = error ? NULL : strdup(path);
	if (!copy)
		return error ? error : -ENOMEM;
	free((*slot)->path);
	(*slot)->path = copy;
	(*slot)->attributes = template->attributes;
	(*slot)->map = template->map;
	(*slot)->asked = message->id;
	*made = *slot;
	return 0;
}

/* The view to be made, for whoever is to make it: nobody else does until then. 0, or as take_slot. */
static int find(struct making *making, const struct channel_message *message, struct made **made)
{
	int error = 0;

	pthread_mutex_lock(&making->mutex);
	if (message->type == CHANNEL_CALLERS)
		error = take_slot(making, message, made);
	else
		*made = message->index < making->count ? making->named[message->index].made : NULL;
	if (!error && !*made)
		error = -EPROTO;
	/* It hangs: one thread of ours that does is enough. */
	if (!error && (*made)->busy)
		error = -ETIMEDOUT;
	if (!error)
		(*made)->busy = true;
	pthread_mutex_unlock(&making->mutex);
	return error;
}

/* Whether the view lets something be opened with `flags`: that a mount is read-only does not keep one from a device. */
static bool opens(uint32_t attributes, uint32_t flags)
{
	return (attributes & VIEW_WRITABLE) || (flags & O_ACCMODE) == O_RDONLY;
}

/* Where a device is to be opened, and in what. -EACCES where not for that; other errors as of take_slot. */
static int find_devices(struct making *making, const struct channel_message *message,
	char path[CHANNEL_TEXT_MAX + 1], uint32_t *attributes)
{
	int error = -EPROTO;

	pthread_mutex_lock(&making->mutex);
	if (message->index < making->count &&
		(making->named[message->index].attributes & (VIEW_CHARDEV | VIEW_BLOCKDEV))) {
		const struct named *named = &making->named[message->index];
		*attributes = named->attributes;
		error = 0;
		if (!opens(named->attributes, message->attributes))
			error = -EACCES;
		else if (named->made)
			strcpy(path, named->path);
		else
			error = template_expand(&making->users, named->path, message->uid, path);
	}
	pthread_mutex_unlock(&making->mutex);
	return error;
}

/* The device is opened here: a view in which that is possible is nothing to give away. 0 or -EPROTO. */
static int open_device(struct making *making, struct channel_message *message)
{
	char path[CHANNEL_TEXT_MAX + 1];
	uint32_t attributes;
	int error = find_devices(making, message, path, &attributes);
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
		error = find(making, message, &made);
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

/* ---- mounts ----------------------------------------------------------------------------------- */

int making_mounts_descriptor(const struct making *making)
{
	return making->mountinfo;
}

void making_mounts(
	struct making *making, void (*stale)(void *context, uint32_t index), void *context)
{
	size_t count = 0;

	pthread_mutex_lock(&making->mutex);
	char *text = mounts_read(making->mountinfo);
	int *left = calloc(end(making), sizeof(*left));
	for (size_t i = 0; i < end(making); i++) {
		struct made *made = numbered(making, i);
		if (!made)
			continue;
		uint64_t signature = text ? mounts_signature(text, made->path) : 0;
		if (text && signature == made->mounts)
			continue;
		made->mounts = signature;
		if (text)
			made->place = mounts_place(text, made->path);
		stale(context, (uint32_t)i);
		/* Without memory it goes when the view is made anew. */
		if (made->home < 0 || !left)
			continue;
		left[count++] = made->home;
		made->home = -1;
	}
	free(making->text);
	making->text = text;
	pthread_mutex_unlock(&making->mutex);
	home_close(left, count);
}
