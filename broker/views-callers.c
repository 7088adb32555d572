/* SPDX-License-Identifier: MIT */
/*
 * views-callers.c: views of directories that the policy names by variables, one for each caller. They are made when
 * they are asked for, and there are so many at most; whose was used longest ago makes room for another.
 *
 * Each has a number at the maker too, behind those that are named: who takes over the place takes over the number,
 * and the maker forgets what it watched for the one before.
 */
#include "views-table.h"

#include "clock.h"
#include "questions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void callers_init(struct views *views)
{
	struct rlimit files;

	/* There must be descriptors left for everything else. */
	views->slots = CHANNEL_SLOTS;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < CHANNEL_SLOTS)
		views->slots = (uint32_t)(files.rlim_cur / 4);
	for (uint32_t i = 0; i < CHANNEL_SLOTS; i++) {
		views->heads[i] = NONE;
		views->whose[i].template = NONE;
	}
}

static uint32_t *head(struct views *views, uint32_t template, uid_t uid)
{
	return &views->heads[(uid + template * UINT32_C(2654435761)) % CHANNEL_SLOTS];
}

/* Makes a place nobody's. */
static void empty(struct views *views, uint32_t slot)
{
	struct whose *whose = &views->whose[slot];
	struct view *view = &views->list[views->count + slot];
	uint32_t *at;

	if (whose->template == NONE)
		return;
	at = head(views, whose->template, whose->uid);
	while (*at != slot)
		at = &views->whose[*at].next;
	*at = whose->next;
	whose->template = NONE;
	links_drop(views, view);
	view_close(view);
	free(view->path);
	view->path = NULL;
	view->hung = 0;
}

/*
 * The place that is missed least: a free one, or the one used longest ago. Not one that a thread waits for; and one for
 * which the maker hung, and perhaps still does, only when nothing else is left. NONE where there is none.
 */
static uint32_t choose(const struct views *views)
{
	uint32_t best = NONE, hung = NONE;
	int64_t now = clock_ms();

	for (uint32_t i = 0; i < views->slots; i++) {
		const struct view *view = &views->list[views->count + i];
		uint32_t *choice = view->hung ? &hung : &best;
		if (views->whose[i].template == NONE)
			return i;
		if (view->asked || view->hung > now)
			continue;
		if (*choice == NONE || views->whose[i].used < views->whose[*choice].used)
			*choice = i;
	}
	return best == NONE ? hung : best;
}

static struct view *take(struct views *views, uint32_t template, const struct policy_caller *caller,
	gid_t gid, int *error)
{
	char path[POLICY_PATH_BUFFER];
	uint32_t slot = choose(views);
	ssize_t length = policy_caller_expand(caller, views->list[template].path, path);
	char *copy = length < 0 ? NULL : strdup(path);

	*error = length < 0 ? (int)length : !copy ? -ENOMEM : slot == NONE ? -ETIMEDOUT : 0;
	if (*error) {
		free(copy);
		return NULL;
	}
	empty(views, slot);
	struct whose *whose = &views->whose[slot];
	uint32_t *first = head(views, template, policy_caller_uid(caller));
	*whose = (struct whose){
		.template = template,
		.uid = policy_caller_uid(caller),
		.gid = gid,
		.next = *first,
	};
	*first = slot;
	struct view *view = &views->list[views->count + slot];
	*view = (struct view){
		.path = copy,
		.file = views->list[template].file,
		.line = views->list[template].line,
		.attributes = views->list[template].attributes,
		.error = -ENOENT,
		.stale = true,
	};
	return view;
}

struct view *callers_find(struct views *views, uint32_t template,
	const struct policy_caller *caller, gid_t gid, bool make, int *error)
{
	uid_t uid = policy_caller_uid(caller);
	struct view *view = NULL;
	uint32_t slot;

	if (!view_is_mapped(&views->list[template]))
		gid = 0;
	for (slot = *head(views, template, uid); slot != NONE; slot = views->whose[slot].next) {
		const struct whose *whose = &views->whose[slot];
		if (whose->template == template && whose->uid == uid && whose->gid == gid)
			break;
	}
	*error = 0;
	if (slot != NONE)
		view = &views->list[views->count + slot];
	else if (make)
		view = take(views, template, caller, gid, error);
	if (view)
		views->whose[view - views->list - views->count].used = ++views->uses;
	return view;
}

/* Whether a path with variables has one that the user data base gives. */
static bool uses_users(const char *path)
{
	for (; *path; path++)
		if (*path == '%' && *++path != '%' && *path != 'U')
			return true;
	return false;
}

static int tell_user(struct views *views, const struct policy_user_values *user)
{
	struct channel_message message = {
		.type = CHANNEL_USER,
		.uid = user->uid,
		.descriptor = -1,
	};
	const char *name = user->user ? user->user : "", *home = user->home ? user->home : "";

	/* What is longer is no part of a path either. */
	if (strlen(name) + strlen(home) > CHANNEL_TEXT_MAX)
		return 0;
	strcat(strcpy(message.text, name), home);
	return questions_tell(views->questions, &message);
}

int callers_tell_users(struct views *views)
{
	struct policy_user_values user;
	size_t count;
	const struct policy_socket *sockets = policy_sockets(views->policy, &count);
	bool wanted = false;
	int error = 0;

	for (uint32_t i = 0; i < views->count && !wanted; i++)
		wanted = views->list[i].template && uses_users(views->list[i].path);
	for (size_t i = 0; i < count && !wanted; i++)
		wanted = sockets[i].variables && uses_users(sockets[i].name);
	for (size_t i = 0; wanted && !error && policy_user_values(views->policy, i, &user); i++)
		error = tell_user(views, &user);
	return error;
}
