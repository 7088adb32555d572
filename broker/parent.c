/* SPDX-License-Identifier: MIT */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Opens the directory that `relative` is in. */
static int open_directory(
	const struct resolver *resolver, int view, const char *relative, const char *name)
{
	char directory[POLICY_PATH_BUFFER] = ".";

	if (name != relative) {
		size_t length = (size_t)(name - relative) - 1;
		memcpy(directory, relative, length);
		directory[length] = '\0';
	}
	return resolve_beneath(resolver, view, directory, O_PATH | O_DIRECTORY, 0);
}

int parent_look(struct resolution *resolution, uint32_t rights,
	const struct policy_decision *decision, struct parent *parent)
{
	const char *relative;
	int view = resolve_view(resolution, rights, decision, &relative);
	int error = view < 0 ? view : resolve_check_names(resolution, view, relative);

	parent->directory = -1;
	if (error)
		return error;
	if (strcmp(relative, ".") == 0)
		return -EBUSY;
	const char *slash = strrchr(relative, '/');
	parent->name = slash ? slash + 1 : relative;
	/* A link that has gone when it is looked for changes nothing about the path. */
	for (int i = 0; i < RESOLVE_LINKS_MAX; i++) {
		parent->directory =
			open_directory(resolution->resolver, view, relative, parent->name);
		if (parent->directory != -ELOOP)
			return parent->directory < 0 ? parent->directory : 0;
		error = resolve_follow(resolution, view, relative, false);
		if (error != -ELOOP)
			return error ? error : 1;
	}
	return -EAGAIN;
}

int parent_open(struct resolution *resolution, uint32_t rights, struct policy_decision *decision,
	struct parent *parent)
{
	for (;;) {
		bool allowed = resolve_decide(resolution, rights, decision);
		resolve_settle(resolution, rights, decision);
		if (!allowed)
			return -EACCES;
		int result = parent_look(resolution, rights, decision, parent);
		if (result <= 0)
			return resolve_error(resolution, result);
	}
}
