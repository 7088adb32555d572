/* SPDX-License-Identifier: MIT */
#include "views.h"

#include "anchors.h"
#include "channel.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* A view that no rule calls for. */
#define NONE UINT32_MAX

/* A watch that a view depends on: the watched directory is that of its path's first `depth` components. */
struct link {
	struct link *next; /* of those with the same hash */
	int watch;
	uint32_t view;
	unsigned int depth;
};

struct view {
	char *path;	  /* of the directory */
	const char *file; /* where the policy names it */
	unsigned int line;
	uint32_t attributes;
	struct idmap map;
	int descriptor; /* or the negative errno with which making it failed */
	bool stale, folds;
	struct link *links;
	int link_count;
};

/* The highest id but the two that mean "none": nobody has it. */
#define PROBE_ID (UINT32_MAX - 2)

/* Of directories that views are made of; above that they share those of directories above them. */
#define DIRECTORIES_MAX 1000

#define BUCKETS 1024

struct views {
	const struct policy_directory *directories;
	size_t directory_count;
	int questions, inotify;
	bool plain;
	uint32_t (*kinds)[VIEW_KINDS];	/* of each directory: a number of `list`, or NONE */
	struct anchor *anchors;		/* of each directory: what there is a view of */
	uint32_t (*shared)[VIEW_KINDS]; /* of each that is the first with its anchor: the same */
	size_t tree_count;
	uint32_t (*trees)[2]; /* of each tree: the number of the read-only one, the writable one */
	struct view *list;
	uint32_t count;
	struct link *buckets[BUCKETS];
};

/* The rights that call for a view of the kind `attributes`, of those anchored at `directory`. */
static bool wanted(const struct policy_directory *directory, uint32_t attributes)
{
	uint32_t rights = attributes & VIEW_EXEC ? directory->exec_rights : directory->rights;

	rights &= POLICY_PATH_RIGHTS;
	if (attributes & VIEW_WRITABLE)
		return rights & POLICY_WRITING_RIGHTS;
	return rights & ~(uint32_t)POLICY_WRITING_RIGHTS;
}

static uint32_t add(struct views *views, const struct view *view)
{
	views->list[views->count] = *view;
	views->list[views->count].descriptor = -ENOENT;
	views->list[views->count].stale = true;
	return views->count++;
}

/* 0 or -ENOMEM. */
static int choose_anchors(struct views *views)
{
	const char **paths = calloc(views->directory_count + 1, sizeof(*paths));
	int error;

	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < views->directory_count; i++)
		paths[i] = views->directories[i].path;
	error = anchors_choose(paths, views->directory_count, DIRECTORIES_MAX, views->anchors);
	free(paths);
	return error;
}

/* Whichever of the directories with the same anchor wants a view first has it made; the others share it. */
static int add_directories(struct views *views)
{
	for (uint32_t i = 0; i < views->directory_count; i++) {
		const struct policy_directory *directory = &views->directories[i];
		uint32_t *first = views->shared[views->anchors[i].first];
		uint32_t device = directory->types & (POLICY_TYPE_CHARDEV | POLICY_TYPE_BLOCKDEV)
					  ? VIEW_DEVICE
					  : 0;
		for (uint32_t kind = 0; kind < VIEW_KINDS; kind++) {
			views->kinds[i][kind] = NONE;
			if (!wanted(directory, kind))
				continue;
			if (first[kind] == NONE) {
				const struct view view = {
					.path = strndup(directory->path, views->anchors[i].length),
					.file = directory->file,
					.line = directory->line,
					.attributes = kind,
				};
				if (!view.path)
					return -ENOMEM;
				first[kind] = add(views, &view);
			}
			views->kinds[i][kind] = first[kind];
			views->list[first[kind]].attributes |= device;
		}
	}
	return 0;
}

/* Trees with variables are not made here: their paths are different for each caller. */
static int add_trees(struct views *views, const struct policy_tree *trees)
{
	static const uint32_t rights[] = {POLICY_TREE, POLICY_WRITE_TREE};

	for (uint32_t i = 0; i < views->tree_count; i++) {
		const struct policy_tree *tree = &trees[i];
		const struct idmap map = {
			.from = tree->idmap_from,
			.uid = tree->idmap_to,
			.gid = tree->idmap_to,
			.count = tree->idmap_count,
		};
		for (uint32_t writable = 0; writable < 2; writable++) {
			views->trees[i][writable] = NONE;
			if (!(tree->rights & rights[writable]) || tree->variables)
				continue;
			const struct view view = {
				.path = strdup(tree->path),
				.file = tree->file,
				.line = tree->line,
				.attributes = (writable ? VIEW_WRITABLE : 0) |
					      (tree->exec ? VIEW_EXEC : 0) |
					      (tree->idmap ? VIEW_IDMAP : 0),
				.map = map,
			};
			if (!view.path)
				return -ENOMEM;
			views->trees[i][writable] = add(views, &view);
		}
	}
	return 0;
}

struct views *views_new(const struct policy *policy, int questions, int inotify)
{
	struct views *views = calloc(1, sizeof(*views));
	const struct policy_tree *trees;

	if (!views)
		return NULL;
	views->questions = questions;
	views->inotify = inotify;
	views->directories = policy_directories(policy, &views->directory_count);
	trees = policy_trees(policy, &views->tree_count);
	views->anchors = calloc(views->directory_count + 1, sizeof(*views->anchors));
	views->shared = malloc((views->directory_count + 1) * sizeof(*views->shared));
	views->kinds = calloc(views->directory_count + 1, sizeof(*views->kinds));
	views->trees = calloc(views->tree_count + 1, sizeof(*views->trees));
	views->list = calloc(VIEW_KINDS * views->directory_count + 2 * views->tree_count + 1,
		sizeof(*views->list));
	if (!views->anchors || !views->shared || !views->kinds || !views->trees || !views->list ||
		choose_anchors(views)) {
		views_free(views);
		return NULL;
	}
	memset(views->shared, 0xff, (views->directory_count + 1) * sizeof(*views->shared));
	if (add_directories(views) || add_trees(views, trees)) {
		views_free(views);
		return NULL;
	}
	return views;
}

size_t views_prefix(const struct views *views, uint32_t directory)
{
	return views->anchors[directory].length;
}

size_t views_count(const struct views *views)
{
	return views->count;
}

bool views_plain(const struct views *views)
{
	return views->plain;
}

/* ---- watches ---------------------------------------------------------------------------------- */

static struct link **bucket(struct views *views, int watch)
{
	return &views->buckets[(unsigned int)watch % BUCKETS];
}

static void unlink_all(struct views *views, struct view *view)
{
	for (int i = 0; i < view->link_count; i++) {
		struct link **at = bucket(views, view->links[i].watch);
		while (*at != &view->links[i])
			at = &(*at)->next;
		*at = view->links[i].next;
	}
	free(view->links);
	view->links = NULL;
	view->link_count = 0;
}

/* Takes over the watches that the supervisor names, as text. 0, -ENOMEM or -EPROTO. */
static int link_all(struct views *views, struct view *view, const char *text)
{
	struct link *links;
	int count = *text != '\0';

	for (const char *at = text; (at = strchr(at, ' ')); at++)
		count++;
	if (count > WATCH_DEPTH_MAX)
		return -EPROTO;
	links = calloc((size_t)count + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	for (int i = 0; i < count; i++) {
		char *end;
		links[i].watch = (int)strtol(text, &end, 10);
		links[i].view = (uint32_t)(view - views->list);
		links[i].depth = (unsigned int)i;
		links[i].next = *bucket(views, links[i].watch);
		*bucket(views, links[i].watch) = &links[i];
		text = end;
	}
	view->links = links;
	view->link_count = count;
	return 0;
}

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

/* ---- making ----------------------------------------------------------------------------------- */

static void close_view(struct view *view)
{
	if (view->descriptor >= 0)
		close(view->descriptor);
	view->descriptor = -ENOENT;
	view->stale = true;
}

/* Asks the supervisor and waits for the answer, which is a VIEW. 0 or a negative errno: it is gone. */
static int ask(struct views *views, struct channel_message *message)
{
	int got = channel_send(views->questions, message);

	message->descriptor = -1;
	if (!got)
		got = channel_receive(views->questions, message);
	if (got <= 0)
		return got ? got : -ECONNRESET;
	return message->type == CHANNEL_VIEW ? 0 : -EPROTO;
}

/* What to ask for a view with, for a caller of those ids where it is mapped to one. */
static struct channel_message question(
	const struct views *views, const struct view *view, uint32_t type, uid_t uid, gid_t gid)
{
	struct channel_message message = {
		.type = type,
		.index = (uint32_t)(view - views->list),
		.attributes = view->attributes,
		.map = view->map,
		.descriptor = -1,
	};

	if (type == CHANNEL_VIEW) {
		memcpy(message.text, view->path, strlen(view->path) + 1);
	} else if (view->map.uid == UINT32_MAX) {
		message.map.uid = uid;
		message.map.gid = gid;
	}
	return message;
}

/* Whether the answer holds until a watch says otherwise. */
static bool is_lasting(int descriptor)
{
	return descriptor >= 0 || descriptor == -ENOENT || descriptor == -ENOTDIR ||
	       descriptor == -ELOOP || descriptor == -EINVAL;
}

/* Has a view made, named to the supervisor for the first time or again. 0 or a negative errno: it is gone. */
static int make(struct views *views, struct view *view, uint32_t type, uid_t uid, gid_t gid)
{
	struct channel_message message = question(views, view, type, uid, gid);
	int error;

	close_view(view);
	error = ask(views, &message);
	if (error)
		return error;
	if (message.attributes & VIEW_PLAIN)
		views->plain = true;
	view->folds = message.attributes & VIEW_FOLDS;
	unlink_all(views, view);
	error = link_all(views, view, message.text);
	if (error && message.descriptor >= 0)
		close(message.descriptor);
	view->descriptor = error ? error : message.error ? -message.error : message.descriptor;
	/* What is short now need not be the next time; what is not there is heard of when it comes. */
	view->stale = !is_lasting(view->descriptor);
	return 0;
}

/* Whether it is another one for each caller, so that none is kept. */
static bool is_callers(const struct view *view)
{
	return (view->attributes & VIEW_IDMAP) && view->map.uid == UINT32_MAX;
}

int views_load(struct views *views,
	int (*failed)(
		void *context, const char *path, const char *file, unsigned int line, int error),
	void *context)
{
	for (uint32_t i = 0; i < views->count; i++) {
		struct view *view = &views->list[i];
		/* A caller's is made for one that there is on no machine, to see that it can be. */
		int error = make(views, view, CHANNEL_VIEW, 0, 0);
		if (!error && is_callers(view))
			error = make(views, view, CHANNEL_RENEW, PROBE_ID, PROBE_ID);
		if (error)
			return error;
		if (view->descriptor < 0 &&
			failed(context, view->path, view->file, view->line, view->descriptor))
			return -ECANCELED;
		if (is_callers(view))
			close_view(view);
	}
	return 0;
}

void views_free(struct views *views)
{
	if (!views)
		return;
	for (uint32_t i = 0; i < views->count; i++) {
		unlink_all(views, &views->list[i]);
		close_view(&views->list[i]);
		free(views->list[i].path);
	}
	free(views->anchors);
	free(views->shared);
	free(views->kinds);
	free(views->trees);
	free(views->list);
	if (views->inotify >= 0)
		close(views->inotify);
	free(views);
}

/* ---- serving ---------------------------------------------------------------------------------- */

static struct view *find(struct views *views, uint32_t directory, uint32_t attributes)
{
	uint32_t number = NONE;

	if (directory >= views->directory_count || attributes >= VIEW_KINDS)
		return NULL;
	number = views->kinds[directory][attributes];
	if (number == NONE)
		number = views->kinds[directory][attributes & ~(uint32_t)VIEW_EXEC];
	return number == NONE ? NULL : &views->list[number];
}

int views_get(struct views *views, uint32_t directory, uint32_t attributes)
{
	struct view *view = find(views, directory, attributes);

	if (!view)
		return -EACCES;
	if (view->stale) {
		int error = make(views, view, CHANNEL_RENEW, 0, 0);
		if (error)
			return error;
	}
	return view->descriptor;
}

int views_open_tree(struct views *views, uint32_t tree, bool writable, uid_t uid, gid_t gid)
{
	uint32_t number = tree < views->tree_count ? views->trees[tree][writable] : NONE;
	struct view *view = number == NONE ? NULL : &views->list[number];
	int error = 0, directory;

	if (!view)
		return -EACCES;
	/* The directory itself would let its holder walk out of it. */
	if (views->plain)
		return -EPERM;
	if (view->stale)
		error = make(views, view, CHANNEL_RENEW, uid, gid);
	if (!error && view->descriptor < 0) {
		error = view->descriptor;
		/* It says something of that caller only. */
		if (is_callers(view))
			view->stale = true;
	}
	if (error)
		return error;
	/* A description of its own: the position in a directory is not to be shared. */
	directory = openat(view->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = directory < 0 ? -errno : 0;
	if (is_callers(view))
		close_view(view);
	return error ? error : directory;
}

int views_open_device(struct views *views, uint32_t directory, uint32_t attributes,
	const char *relative, int flags)
{
	const struct view *view = find(views, directory, attributes);
	struct channel_message message = {.type = CHANNEL_DEVICE, .descriptor = -1};

	if (!view)
		return -EACCES;
	if (views->plain)
		return -EPERM;
	if (strlen(relative) > CHANNEL_TEXT_MAX)
		return -ENAMETOOLONG;
	message.index = (uint32_t)(view - views->list);
	message.attributes = (uint32_t)flags;
	strcpy(message.text, relative);
	int error = ask(views, &message);
	if (error)
		return error;
	return message.error ? -message.error : message.descriptor;
}

bool views_fold(struct views *views, uint32_t directory)
{
	for (uint32_t kind = 0; kind < VIEW_KINDS; kind++) {
		const struct view *view = find(views, directory, kind);
		if (view && view->folds)
			return true;
	}
	return false;
}

int views_descriptor(const struct views *views)
{
	return views->inotify;
}

void views_stale(struct views *views, uint32_t index)
{
	/* Closed at once: a file system that was unmounted is not to be kept busy. */
	for (uint32_t i = 0; i < views->count; i++)
		if (i == index || index == CHANNEL_ALL)
			close_view(&views->list[i]);
}

/* Marks the views that an event is about. */
static void take_event(struct views *views, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";

	if (event->mask & IN_Q_OVERFLOW) {
		for (uint32_t i = 0; i < views->count; i++)
			close_view(&views->list[i]);
		return;
	}
	for (const struct link *link = *bucket(views, event->wd); link; link = link->next) {
		struct view *view = &views->list[link->view];
		const char *path = view->path;
		if (link->watch == event->wd && !view->stale &&
			((event->mask & IN_UNMOUNT) || is_component(path, link->depth, name)))
			close_view(view);
	}
}

void views_changed(struct views *views)
{
	static char buffer[65536] __attribute__((aligned(8)));
	ssize_t length;

	/* To the end, but not for ever: who changes directories all the time pays for each change himself. */
	for (int i = 0; i < 64; i++) {
		length = read(views->inotify, buffer, sizeof(buffer));
		if (length <= 0)
			return;
		for (ssize_t at = 0; at < length;) {
			const struct inotify_event *event = (const void *)(buffer + at);
			at += (ssize_t)(sizeof(*event) + event->len);
			/* The end of a watch comes after whatever ended it. */
			if (!(event->mask & IN_IGNORED))
				take_event(views, event);
		}
	}
}
