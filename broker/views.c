/* SPDX-License-Identifier: MIT */
#include "views.h"

#include "anchors.h"
#include "clock.h"
#include "questions.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
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

/* What a view shows at a time. It stays open for as long as somebody opens beneath it. */
struct shown {
	_Atomic unsigned int holders; /* the view itself is one */
	int descriptor;
};

struct view {
	char *path;	  /* of the directory */
	const char *file; /* where the policy names it */
	unsigned int line;
	uint32_t attributes;
	struct idmap map;
	struct shown *shown; /* NULL where there is none: */
	int error;	     /* the negative errno with which making it failed */
	bool stale, folds, prompt;
	bool asked;   /* a thread has it made; others wait for that */
	int64_t hung; /* ms: until then it is not asked for again, since it hung; 0: it did not */
	struct link *links;
	int link_count;
};

/* The highest id but the two that mean "none": nobody has it. */
#define PROBE_ID (UINT32_MAX - 2)

/* Of directories that views are made of; above that they share those of directories above them. */
#define DIRECTORIES_MAX 1000

#define BUCKETS 1024

/* ms without another try, after a view could not be made in time. */
#define HUNG_TIME 5000

struct views {
	const struct policy_directory *directories;
	size_t directory_count;
	struct questions *questions;
	int inotify;
	_Atomic bool plain;
	pthread_mutex_t reading; /* of whoever reads the reports */
	_Atomic bool
		changing; /* reports have been read, and what they say is not yet in the table */
	pthread_mutex_t mutex; /* of the views and links below */
	pthread_cond_t made;
	unsigned int reports;		/* counts what has been read of them */
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
	views->list[views->count].error = -ENOENT;
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

struct views *views_new(const struct policy *policy, struct questions *questions, int inotify)
{
	struct views *views = calloc(1, sizeof(*views));
	const struct policy_tree *trees;

	if (!views)
		return NULL;
	views->questions = questions;
	views->inotify = inotify;
	pthread_mutex_init(&views->reading, NULL);
	pthread_mutex_init(&views->mutex, NULL);
	pthread_cond_init(&views->made, NULL);
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

/* Takes over the watches that the maker names, as text. 0, -ENOMEM or -EPROTO. */
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

static void let_go(struct shown *shown)
{
	if (shown && --shown->holders == 0) {
		close(shown->descriptor);
		free(shown);
	}
}

/* With the lock. */
static void close_view(struct view *view)
{
	let_go(view->shown);
	view->shown = NULL;
	view->error = -ENOENT;
	view->stale = true;
}

/* Asks the maker for a view, for a caller of those ids. 0, or a negative errno. */
static int ask(struct views *views, const struct view *view, uint32_t type, uid_t uid, gid_t gid,
	struct channel_message *message)
{
	message->type = type;
	message->index = (uint32_t)(view - views->list);
	message->attributes = view->attributes;
	message->map = view->map;
	message->uid = uid;
	message->gid = gid;
	message->descriptor = -1;
	message->text[0] = '\0';
	if (type == CHANNEL_VIEW)
		memcpy(message->text, view->path, strlen(view->path) + 1);
	int error = questions_ask(views->questions, message, QUESTIONS_TIME);
	if (!error && message->type != CHANNEL_VIEW)
		error = -EPROTO;
	if (error && message->descriptor >= 0)
		close(message->descriptor);
	return error;
}

/* Whether the answer holds until a watch says otherwise. */
static bool is_lasting(int error)
{
	return error == 0 || error == -ENOENT || error == -ENOTDIR || error == -ELOOP ||
	       error == -EINVAL;
}

/*
 * Puts the answer into the table, with the lock. `reports` is what was counted when it was asked for: one that has
 * been read since may have concerned a watch that was not known here yet. Then the view is good for who asked, and
 * for nobody later.
 */
static void take_answer(struct views *views, struct view *view,
	const struct channel_message *message, unsigned int reports)
{
	struct shown *shown = NULL;
	int error = -message->error;

	if (message->attributes & VIEW_PLAIN)
		views->plain = true;
	view->folds = message->attributes & VIEW_FOLDS;
	view->prompt = message->attributes & VIEW_PROMPT;
	unlink_all(views, view);
	if (link_all(views, view, message->text))
		error = -ENOMEM;
	if (message->descriptor >= 0 && !error) {
		shown = malloc(sizeof(*shown));
		error = shown ? 0 : -ENOMEM;
	}
	if (!shown && message->descriptor >= 0)
		close(message->descriptor);
	if (shown)
		*shown = (struct shown){.holders = 1, .descriptor = message->descriptor};
	let_go(view->shown);
	view->shown = shown;
	view->error = error ? error : shown ? 0 : -EPROTO;
	/* What is short now need not be the next time; what is not there is heard of when it comes. */
	view->stale = views->reports != reports || !is_lasting(view->error);
}

/*
 * Has a view made, named to the maker for the first time or again, with the lock, which is given up meanwhile. 0, or
 * a negative errno: the maker does not answer, or is gone.
 */
static int make(struct views *views, struct view *view, uint32_t type, uid_t uid, gid_t gid)
{
	struct channel_message message;

	view->asked = true;
	unsigned int reports = views->reports;
	pthread_mutex_unlock(&views->mutex);
	int error = ask(views, view, type, uid, gid, &message);
	pthread_mutex_lock(&views->mutex);
	if (!error)
		take_answer(views, view, &message, reports);
	view->asked = false;
	pthread_cond_broadcast(&views->made);
	return error;
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
	pthread_mutex_lock(&views->mutex);
	for (uint32_t i = 0; i < views->count; i++) {
		struct view *view = &views->list[i];
		/* A caller's is made for one that there is on no machine, to see that it can be. */
		int error = make(views, view, CHANNEL_VIEW, PROBE_ID, PROBE_ID);
		/* A file system that hangs is asked again when somebody needs it. */
		if (error == -ETIMEDOUT)
			view->error = error;
		else if (error)
			return error;
		if (view->error && failed(context, view->path, view->file, view->line, view->error))
			return -ECANCELED;
		if (is_callers(view))
			close_view(view);
	}
	pthread_mutex_unlock(&views->mutex);
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
	pthread_cond_destroy(&views->made);
	pthread_mutex_destroy(&views->mutex);
	pthread_mutex_destroy(&views->reading);
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

/* Makes sure that the view is not stale, with the lock. 0 or a negative errno. */
static int freshen(struct views *views, struct view *view)
{
	/* Once is enough: what became stale while it was made did so after the request. */
	while (view->stale && view->asked)
		pthread_cond_wait(&views->made, &views->mutex);
	if (!view->stale)
		return 0;
	if (view->hung && clock_ms() < view->hung)
		return -ETIMEDOUT;
	int error = make(views, view, CHANNEL_RENEW, 0, 0);
	view->hung = error == -ETIMEDOUT ? clock_ms() + HUNG_TIME : 0;
	return error;
}

/* Whether using the view would take more than `patience`, with the lock. */
static bool takes_more(const struct view *view, enum patience patience)
{
	if (patience == PATIENCE_NONE && view->stale)
		return true;
	return patience != PATIENCE_ALL && !view->stale && view->shown && !view->prompt;
}

int views_get(struct views *views, uint32_t directory, uint32_t attributes, enum patience patience,
	struct views_hold *hold)
{
	struct view *view = find(views, directory, attributes);
	int error = 0;

	hold->shown = NULL;
	if (!view)
		return -EACCES;
	pthread_mutex_lock(&views->mutex);
	if (patience != PATIENCE_NONE && view->stale)
		error = freshen(views, view);
	if (!error && takes_more(view, patience))
		error = -EINPROGRESS;
	if (!error && view->shown) {
		hold->shown = view->shown;
		hold->shown->holders++;
	} else if (!error) {
		error = view->error;
	}
	pthread_mutex_unlock(&views->mutex);
	return error ? error : hold->shown->descriptor;
}

void views_let_go(struct views_hold *hold)
{
	let_go(hold->shown);
	hold->shown = NULL;
}

/* The view of a tree, for a caller of those ids, with *own telling that it is the caller's of this function. */
static int get_tree(
	struct views *views, struct view *view, uid_t uid, gid_t gid, struct views_hold *hold)
{
	struct channel_message message;
	int error;

	hold->shown = NULL;
	if (!is_callers(view)) {
		pthread_mutex_lock(&views->mutex);
		error = freshen(views, view);
		if (!error && view->shown) {
			hold->shown = view->shown;
			hold->shown->holders++;
		} else if (!error) {
			error = view->error;
		}
		pthread_mutex_unlock(&views->mutex);
		return error;
	}
	/* It is for this caller alone, and nobody else ever gets to see it. */
	error = ask(views, view, CHANNEL_RENEW, uid, gid, &message);
	if (error)
		return error;
	if (message.error)
		return -message.error;
	hold->shown = malloc(sizeof(*hold->shown));
	if (!hold->shown) {
		close(message.descriptor);
		return -ENOMEM;
	}
	*hold->shown = (struct shown){.holders = 1, .descriptor = message.descriptor};
	return 0;
}

int views_open_tree(struct views *views, uint32_t tree, bool writable, uid_t uid, gid_t gid,
	enum patience patience)
{
	uint32_t number = tree < views->tree_count ? views->trees[tree][writable] : NONE;
	struct view *view = number == NONE ? NULL : &views->list[number];
	struct views_hold hold;

	if (!view)
		return -EACCES;
	/* The directory itself would let its holder walk out of it. */
	if (views->plain)
		return -EPERM;
	pthread_mutex_lock(&views->mutex);
	bool more = patience == PATIENCE_NONE ? is_callers(view) || takes_more(view, patience)
					      : !is_callers(view) && takes_more(view, patience);
	pthread_mutex_unlock(&views->mutex);
	if (more)
		return -EINPROGRESS;
	int error = get_tree(views, view, uid, gid, &hold);
	if (error)
		return error;
	/* A description of its own: the position in a directory is not to be shared. */
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC};
	int directory = (int)syscall(SYS_openat2, hold.shown->descriptor, ".", &how, sizeof(how));
	error = directory < 0 ? -errno : 0;
	views_let_go(&hold);
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
	int error = questions_ask(views->questions, &message, QUESTIONS_TIME);
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
	pthread_mutex_lock(&views->mutex);
	if (index < views->count)
		close_view(&views->list[index]);
	pthread_mutex_unlock(&views->mutex);
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
