/* SPDX-License-Identifier: MIT */
/*
 * mounts.c: denies that a mount goes round: the same file under a second path, by which an allow
 * hands it out. The broker matches paths as they are opened, and a bind mount is no link.
 *
 * It is a comparison of two texts: what is mounted comes as the text of /proc/PID/mountinfo
 * (proc_pid_mountinfo(5)), and nothing is looked at here.
 */
#include "compiled.h"
#include "lint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mounts that are looked at, at most: a lint must end. */
#define LOOKS_MAX 10000000u

struct mount {
	const char *device; /* "8:1" */
	const char *root;   /* which of its directories; NULL: none that can be compared */
	const char *point;
};

struct mounts {
	const struct policy *policy;
	struct policy_diagnostics *diagnostics;
	struct mount *list; /* a later one hides an earlier one at the same place */
	size_t count, capacity;
	size_t looks;
	struct policy_scratch *scratch;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

/* Takes a field off a line, in place. Blanks and backslashes in it are \ooo. */
static char *next_field(char **line)
{
	char *field = *line, *out = field, *at = field;

	while (*at && *at != ' ') {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
			at[3] >= '0' && at[3] <= '7') {
			*out++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*out++ = *at++;
		}
	}
	*line = *at ? at + 1 : at;
	*out = '\0';
	return *field ? field : NULL;
}

static int read_mounts(struct mounts *mounts, char *text)
{
	char *save, *device, *root, *point;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		next_field(&line);
		next_field(&line);
		device = next_field(&line);
		root = next_field(&line);
		point = next_field(&line);
		if (!point || policy_path_check(point, strlen(point)))
			continue;
		/* "net:[4026531840]", "/gone//deleted", "/..": these hide what is there, no more. */
		if (policy_path_check(root, strlen(root)))
			root = NULL;
		if (!array_reserve(&mounts->list, &mounts->capacity, mounts->count + 1,
			    sizeof(*mounts->list)))
			return -ENOMEM;
		mounts->list[mounts->count++] = (struct mount){device, root, point};
	}
	return 0;
}

/* ---- paths ------------------------------------------------------------------------------------
 */

/* What of `path` lies beneath `above`: "/x", "" for the same, NULL where it does not. */
static const char *rest_of(const char *path, const char *above)
{
	size_t length = above[1] ? strlen(above) : 0;

	if (strncmp(path, above, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path[length] && path[length + 1] ? path + length : "";
}

static bool join(char path[POLICY_PATH_BUFFER], const char *above, const char *rest)
{
	int length =
		snprintf(path, POLICY_PATH_BUFFER, "%s%s", above[1] || !*rest ? above : "", rest);

	return length > 0 && length < POLICY_PATH_BUFFER;
}

/* The mount that one sees at a path. */
static const struct mount *owner(struct mounts *mounts, const char *path)
{
	const struct mount *best = NULL;

	mounts->looks += mounts->count;
	for (size_t i = 0; i < mounts->count; i++)
		if (rest_of(path, mounts->list[i].point) &&
			(!best || strlen(mounts->list[i].point) >= strlen(best->point)))
			best = &mounts->list[i];
	return best;
}

/* ---- rules ------------------------------------------------------------------------------------
 */

/* What the rules of all subjects say of a path, whoever asks. */
struct said {
	const struct policy *policy;
	const struct policy_prefix *deny;
	uint32_t denied, denied_beneath, allowed;
	bool own; /* the deny that is looked at stands above, on or beneath it */
};

static void add_entries(struct said *said, uint32_t number, bool beneath)
{
	const struct tree_node *node = &said->policy->tree.nodes[number];

	for (uint32_t i = 0; i < node->entry_count; i++) {
		const struct tree_entry *entry = &said->policy->tree.entries[node->entry + i];
		const struct rule *rule = &said->policy->rules[entry->rule];

		if (!rule->deny)
			said->allowed |= beneath ? rule->rights : 0;
		else if (beneath)
			said->denied_beneath |= rule->rights;
		else
			said->denied |= rule->rights;
		said->own |= rule->deny && rule->place.file == said->deny->file &&
			     rule->place.line == said->deny->line;
	}
}

static void passed(void *context, uint32_t node)
{
	add_entries(context, node, false);
}

static bool ask(struct mounts *mounts, const char *path, struct said *said)
{
	const struct tree *tree = &mounts->policy->tree;
	struct tree_scratch *scratch = &mounts->scratch->tree;
	struct values nobody = {0};

	if (tree_walk(tree, TREE_FILES, scratch, &nobody, path, strlen(path), passed, said))
		return false;
	for (size_t i = 0; i < scratch->active_count; i++) {
		uint32_t node = scratch->active[i], end = tree->nodes[node].end;

		mounts->looks += end - node;
		for (; node < end; node++)
			add_entries(said, node, true);
	}
	return true;
}

static bool goes_round(struct mounts *mounts, const struct policy_prefix *deny, const char *first,
	const char *second)
{
	struct said there = {.policy = mounts->policy, .deny = deny}, here = there;

	/* What stands beneath the beginning of a pattern need not be what it matches. */
	if (!deny->whole && strcmp(first, deny->path) != 0 &&
		(!ask(mounts, first, &here) || !here.own))
		return false;
	if (!ask(mounts, second, &there))
		return false;
	if (!deny->whole)
		there.denied |= there.denied_beneath;
	return there.allowed & deny->rights & ~there.denied;
}

static void warn(struct mounts *mounts, const struct policy_prefix *deny, const char *first,
	const char *second)
{
	char *message = NULL, *hint = NULL;

	if (asprintf(&message, "'%s' is mounted as '%s' too, where no deny stands", first, second) <
		0)
		message = NULL;
	if (asprintf(&hint, "deny it at %s, too", second) < 0)
		hint = NULL;
	if (message)
		policy_warn_prefix(mounts->policy, mounts->diagnostics, deny, hint, message);
	free(message);
	free(hint);
}

/* `base`, seen in the mount `from`, holds what is denied: where else is it, or some of it, seen? */
static void check_base(struct mounts *mounts, const struct policy_prefix *deny,
	const struct mount *from, const char *base)
{
	char inside[POLICY_PATH_BUFFER], first[POLICY_PATH_BUFFER], second[POLICY_PATH_BUFFER];

	if (owner(mounts, base) != from || !join(inside, from->root, rest_of(base, from->point)))
		return;
	mounts->looks += mounts->count;
	for (size_t i = 0; i < mounts->count && mounts->looks < LOOKS_MAX; i++) {
		const struct mount *other = &mounts->list[i];
		const char *rest;
		bool joined = false;

		if (other == from || !other->root || strcmp(other->device, from->device) != 0)
			continue;
		if ((rest = rest_of(inside, other->root)))
			joined = join(first, base, "") && join(second, other->point, rest);
		else if ((rest = rest_of(other->root, inside)))
			joined = join(first, base, rest) && join(second, other->point, "") &&
				 owner(mounts, first) == from;
		if (joined && strcmp(first, second) != 0 && owner(mounts, second) == other &&
			goes_round(mounts, deny, first, second))
			warn(mounts, deny, first, second);
	}
}

static void check_deny(struct mounts *mounts, const struct policy_prefix *deny)
{
	mounts->looks += mounts->count;
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount *mount = &mounts->list[i];

		if (!mount->root)
			continue;
		if (rest_of(deny->path, mount->point))
			check_base(mounts, deny, mount, deny->path);
		else if (rest_of(mount->point, deny->path))
			check_base(mounts, deny, mount, mount->point);
	}
}

int policy_lint_mounts(
	const struct policy *policy, const char *mountinfo, struct policy_diagnostics *diagnostics)
{
	struct mounts mounts = {.policy = policy, .diagnostics = diagnostics};
	char *text = strdup(mountinfo);
	int status = text ? read_mounts(&mounts, text) : -ENOMEM;

	if (status == 0)
		status = policy_scratch_new(policy, &mounts.scratch);
	for (size_t i = 0; status == 0 && i < policy->prefix_count; i++) {
		const struct policy_prefix *one = &policy->prefixes[i];

		if (one->deny && !one->socket && mounts.looks < LOOKS_MAX)
			check_deny(&mounts, one);
	}
	policy_scratch_free(mounts.scratch);
	free(mounts.list);
	free(text);
	return status;
}
