/* SPDX-License-Identifier: MIT */
/*
 * views-reports.c: hears of changes: what the kernel reports of watched directories, and what the maker says of mounts.
 */
#include "views-table.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Whether the component behind the first `depth` ones of `path` is `name`; with none left: whether it is "". */
static bool is_component(const char *path, unsigned int depth, const char *name)
{
	if (path[1] == '\0')
		return name[0] == '\0';
	for (; depth && *path; depth--)
		path += 1 + strcspn(path + 1, "/");
	path += *path == '/';
	size_t length = strcspn(path, "/");
	return strlen(name) == length && memcmp(name, path, length) == 0;
}

void views_failed(struct views *views,
	void (*failed)(
		void *context, const char *path, const char *file, unsigned int line, int error),
	void *context)
{
	views->failed = failed;
	views->failed_context = context;
}

int views_descriptor(const struct views *views)
{
	return views->inotify;
}

void views_stale(struct views *views, uint32_t index)
{
	/* Closed at once: a file system that was unmounted is not to be kept busy. */
	pthread_mutex_lock(&views->mutex);
	if (index < views->count + views->slots) {
		/* Its answer may have come, and not be in the table yet. */
		views->reports++;
		view_close(&views->list[index]);
	}
	pthread_mutex_unlock(&views->mutex);
}

void views_answer(struct views *views, uint32_t index)
{
	pthread_mutex_lock(&views->mutex);
	if (index < views->count + views->slots)
		views->list[index].hung = 0;
	pthread_mutex_unlock(&views->mutex);
}

/* Marks the views that an event is about. */
static void take_event(struct views *views, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";

	if (event->mask & IN_Q_OVERFLOW) {
		for (uint32_t i = 0; i < views->count + views->slots; i++)
			view_close(&views->list[i]);
		return;
	}
	for (const struct link *link = links_of(views, event->wd); link; link = link->next) {
		struct view *view = &views->list[link->view];
		const char *path = view->path;
		if (link->watch == event->wd && !view->stale &&
			((event->mask & IN_UNMOUNT) || is_component(path, link->depth, name)))
			view_close(view);
	}
}

void views_changed(struct views *views, bool changed)
{
	static char buffer[65536] __attribute__((aligned(8)));
	ssize_t length;

	/* Another thread may have read what concerns this one's requests, and be about to say so. */
	if (!changed && !views->changing)
		return;
	pthread_mutex_lock(&views->reading);
	views->changing = true;
	/* To the end, but not for ever: who changes directories all the time pays for each change himself. */
	for (int i = 0; i < 64; i++) {
		length = read(views->inotify, buffer, sizeof(buffer));
		if (length <= 0)
			break;
		pthread_mutex_lock(&views->mutex);
		views->reports++;
		for (ssize_t at = 0; at < length;) {
			const struct inotify_event *event = (const void *)(buffer + at);
			at += (ssize_t)(sizeof(*event) + event->len);
			/* The end of a watch comes after whatever ended it. */
			if (!(event->mask & IN_IGNORED))
				take_event(views, event);
		}
		pthread_mutex_unlock(&views->mutex);
	}
	views->changing = false;
	pthread_mutex_unlock(&views->reading);
}
