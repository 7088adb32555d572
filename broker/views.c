/* SPDX-License-Identifier: MIT */
/*
 * views.c: which views a policy calls for; has them made while the worker loads.
 */
#include "views-table.h"

#include "clock.h"
#include "questions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The highest id but the two that mean "none": nobody has it. */
#define PROBE_ID (UINT32_MAX - 2)

/* Of directories that views are made of; above that they share those of directories above them. */
#define DIRECTORIES_MAX 1000

/* The rights that call for a view of the kind `attributes`, of those anchored at `directory`. */
static bool is_wanted(const struct policy_directory *directory, uint32_t attributes)
{
	uint32_t rights = attributes & VIEW_EXEC ? directory->exec_rights : directory->rights;

	/* Trees are opened in views of their own. */
	rights &= POLICY_PATH_RIGHTS & ~(uint32_t)(POLICY_TREE | POLICY_WRITE_TREE);
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
	/* Those with variables, of which there are views on demand, share theirs with nobody. */
	const char **paths = calloc(views->directory_count + 1, sizeof(*paths));
	int error;

	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < views->directory_count; i++)
		paths[i] = views->directories[i].variables ? "/" : views->directories[i].path;
	error = anchors_choose(paths, views->directory_count, DIRECTORIES_MAX, views->anchors);
	free(paths);
	return error;
}

/*
 * Whichever of the directories with the same anchor wants a view first has it made; the others share it. Those with
 * variables share with none.
 */
static int add_kind(struct views *views, uint32_t number, uint32_t kind)
{
	const struct policy_directory *directory = &views->directories[number];
	uint32_t *added = directory->variables ? &views->kinds[number][kind]
					       : &views->shared[views->anchors[number].first][kind];

	if (*added == NONE) {
		const struct view view = {
			.path = directory->variables
					? strdup(directory->path)
					: strndup(directory->path, views->anchors[number].length),
			.file = directory->file,
			.line = directory->line,
			.attributes = kind,
			.template = directory->variables,
		};
		if (!view.path)
			return -ENOMEM;
		*added = add(views, &view);
	}
	views->list[*added].attributes |=
		(directory->types & POLICY_TYPE_CHARDEV ? VIEW_CHARDEV : 0) |
		(directory->types & POLICY_TYPE_BLOCKDEV ? VIEW_BLOCKDEV : 0);
	views->kinds[number][kind] = *added;
	return 0;
}

static int add_directories(struct views *views)
{
	for (uint32_t i = 0; i < views->directory_count; i++) {
		for (uint32_t kind = 0; kind < VIEW_KINDS; kind++) {
			views->kinds[i][kind] = NONE;
			if (is_wanted(&views->directories[i], kind) && add_kind(views, i, kind))
				return -ENOMEM;
		}
	}
	return 0;
}

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
			if (!(tree->rights & rights[writable]))
				continue;
			const struct view view = {
				.path = strdup(tree->path),
				.file = tree->file,
				.line = tree->line,
				.attributes = (writable ? VIEW_WRITABLE : 0) |
					      (tree->exec ? VIEW_EXEC : 0) |
					      (tree->idmap ? VIEW_IDMAP : 0),
				.map = map,
				.template = tree->variables,
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
	views->policy = policy;
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
	views->list =
		calloc(VIEW_KINDS * views->directory_count + 2 * views->tree_count + CHANNEL_SLOTS,
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
	callers_init(views);
	return views;
}

size_t views_count(const struct views *views)
{
	return views->count;
}

bool views_plain(const struct views *views)
{
	return views->plain;
}

static void name_one(void *context, uint32_t i, struct channel_message *message)
{
	const struct views *views = context;
	const struct view *view = &views->list[i];

	/* A caller's is made for one that there is on no machine, to see that it can be. */
	view_question(views, view, view->template ? CHANNEL_TEMPLATE : CHANNEL_VIEW, PROBE_ID,
		PROBE_ID, message);
}

/* A template's are made when callers come: now it is only named, and the maker says whether there can be views. */
static void take_template(
	struct views *views, struct view *view, const struct channel_message *message)
{
	if (message->descriptor >= 0)
		close(message->descriptor);
	if (message->attributes & VIEW_PLAIN)
		views->plain = true;
	view->error = -message->error;
}

static void take_one(void *context, uint32_t i, struct channel_message *message)
{
	struct views *views = context;
	struct view *view = &views->list[i];

	view->hung = 0;
	if (view->template)
		take_template(views, view, message);
	else
		view_take_answer(views, view, message, views->reports);
}

int views_load(struct views *views,
	int (*failed)(
		void *context, const char *path, const char *file, unsigned int line, int error),
	void *context)
{
	int64_t hung = clock_ms() + QUESTIONS_SHORT_TIME + VIEWS_HUNG_TIME;

	/* Those that do not answer are asked again when somebody needs them. All are asked at once: however many hang,
	 * that is waited for once. */
	for (uint32_t i = 0; i < views->count; i++) {
		if (strlen(views->list[i].path) > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
		views->list[i].error = -ETIMEDOUT;
		views->list[i].hung = hung;
	}
	int error = questions_ask_all(
		views->questions, views->count, name_one, take_one, views, QUESTIONS_SHORT_TIME);
	if (error)
		return error;
	for (uint32_t i = 0; i < views->count; i++) {
		struct view *view = &views->list[i];
		if (view->error && failed(context, view->path, view->file, view->line, view->error))
			return -ECANCELED;
		if (view_is_mapped(view))
			view_close(view);
	}
	return callers_tell_users(views);
}

void views_free(struct views *views)
{
	if (!views)
		return;
	for (uint32_t i = 0; i < views->count + views->slots; i++) {
		links_drop(views, &views->list[i]);
		view_close(&views->list[i]);
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
