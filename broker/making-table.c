/* SPDX-License-Identifier: MIT */
/* making-table.c: see making-table.h: naming views, finding those that are asked for, and which mounts concern them. */
#include "making-table.h"

#include "confine.h"

#include "clone.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Views and templates that a worker may name. */
#define NAMED_MAX (1u << 20)

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

/* ---- numbers ---------------------------------------------------------------------------------- */

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

/* ---- finding ---------------------------------------------------------------------------------- */

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

int making_find(struct making *making, const struct channel_message *message, struct made **made)
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

int making_find_devices(struct making *making, const struct channel_message *message,
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

/* ---- watches ---------------------------------------------------------------------------------- */

static bool has(const struct watches *watches, int watch)
{
	for (int k = 0; k < watches->count; k++)
		if (watches->descriptors[k] == watch)
			return true;
	return false;
}

bool making_watches(const struct making *making, int watch)
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

/* ---- mounts ----------------------------------------------------------------------------------- */

uint64_t making_sign(const struct making *making, const char *path)
{
	char *text = mounts_read(making->mountinfo);
	uint64_t signature = text ? mounts_signature(text, path) : 0;

	free(text);
	return signature;
}

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
