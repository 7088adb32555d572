/* SPDX-License-Identifier: MIT */
/*
 * views-made.c: has views made by the maker, and takes over what it answers.
 */
#include "views-table.h"

#include "clock.h"
#include "questions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void view_question(const struct views *views, const struct view *view, uint32_t type, uid_t uid,
	gid_t gid, struct channel_message *message)
{
	const struct whose *whose = view_whose(views, view);

	message->type = type;
	message->index = (uint32_t)(view - views->list);
	message->attributes = whose ? whose->template : view->attributes;
	message->map = view->map;
	message->uid = uid;
	message->gid = gid;
	message->descriptor = -1;
	message->text[0] = '\0';
	if (type == CHANNEL_VIEW || type == CHANNEL_TEMPLATE)
		strcpy(message->text, view->path);
}

int view_ask(struct views *views, const struct view *view, uint32_t type, uid_t uid, gid_t gid,
	struct channel_message *message)
{
	view_question(views, view, type, uid, gid, message);
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

void view_take_answer(struct views *views, struct view *view, const struct channel_message *message,
	unsigned int reports)
{
	struct shown *shown = NULL;
	int error = -message->error;

	if (message->attributes & VIEW_PLAIN)
		views->plain = true;
	view->prompt = message->attributes & VIEW_PROMPT;
	links_drop(views, view);
	if (links_take(views, view, message->text))
		error = -ENOMEM;
	if (message->descriptor >= 0 && !error) {
		shown = malloc(sizeof(*shown));
		error = shown ? 0 : -ENOMEM;
	}
	if (!shown && message->descriptor >= 0)
		close(message->descriptor);
	if (shown)
		*shown = (struct shown){
			.holders = 1,
			.descriptor = message->descriptor,
			.folds = message->attributes & VIEW_FOLDS,
		};
	shown_let_go(view->shown);
	view->shown = shown;
	view->error = error ? error : shown ? 0 : -EPROTO;
	/* What is short now need not be the next time; what is not there is heard of when it comes. */
	view->stale = views->reports != reports || !is_lasting(view->error);
}

void view_tell_failure(const struct views *views, const struct view *view, int error)
{
	/* What is not there is made when it comes; without a maker the worker is at its end, and that is told. */
	if (views->failed && error != -ENOENT && error != -ENOTDIR && error != -EPIPE &&
		error != -ECONNRESET)
		views->failed(views->failed_context, view->path, view->file, view->line, error);
}

int view_make(struct views *views, struct view *view, uint32_t type, uid_t uid, gid_t gid)
{
	struct channel_message message;

	view->asked = true;
	unsigned int reports = views->reports;
	pthread_mutex_unlock(&views->mutex);
	int error = view_ask(views, view, type, uid, gid, &message);
	pthread_mutex_lock(&views->mutex);
	if (!error)
		view_take_answer(views, view, &message, reports);
	int failed = error ? error : view->shown ? 0 : view->error;
	if (failed) {
		pthread_mutex_unlock(&views->mutex);
		view_tell_failure(views, view, failed);
		pthread_mutex_lock(&views->mutex);
	}
	view->asked = false;
	pthread_cond_broadcast(&views->made);
	return error;
}

bool view_is_hung(const struct view *view)
{
	return view->hung && clock_ms() < view->hung;
}

void view_set_hung(struct view *view, bool hung)
{
	view->hung = hung ? clock_ms() + VIEWS_HUNG_TIME : 0;
}

int view_freshen(struct views *views, struct view *view, enum patience patience)
{
	const struct whose *whose = view_whose(views, view);

	/* Once is enough: what became stale while it was made did so after the request. */
	if (view->asked && patience != PATIENCE_ALL)
		return -EINPROGRESS;
	if (view->asked) {
		pthread_cond_wait(&views->made, &views->mutex);
		return 1;
	}
	if (view_is_hung(view))
		return -ETIMEDOUT;
	int error = whose ? view_make(views, view, CHANNEL_CALLERS, whose->uid, whose->gid)
			  : view_make(views, view, CHANNEL_RENEW, 0, 0);
	/* The maker says so itself where another of its threads still hangs there. */
	view_set_hung(view, error == -ETIMEDOUT || (!error && view->error == -ETIMEDOUT));
	return error;
}
