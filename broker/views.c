/* SPDX-License-Identifier: MIT */
#include "views.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A view that no rule calls for. No errno of the kernel's has this value. */
#define ABSENT (-4096)

struct views {
	size_t count;
	int (*descriptors)[VIEW_KINDS];
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

int views_fill(const struct policy *policy,
	int (*make)(void *context, const struct policy_directory *directory, uint32_t attributes),
	void *context, struct views **result)
{
	size_t count;
	const struct policy_directory *directories = policy_directories(policy, &count);
	struct views *views = calloc(1, sizeof(*views));

	if (!views)
		return -ENOMEM;
	views->descriptors = calloc(count ? count : 1, sizeof(*views->descriptors));
	if (!views->descriptors) {
		free(views);
		return -ENOMEM;
	}
	for (; views->count < count; views->count++) {
		int *kinds = views->descriptors[views->count];
		for (uint32_t kind = 0; kind < VIEW_KINDS; kind++)
			kinds[kind] = ABSENT;
	}
	for (size_t i = 0; i < count; i++) {
		int *kinds = views->descriptors[i];
		for (uint32_t kind = 0; kind < VIEW_KINDS; kind++) {
			if (!wanted(&directories[i], kind))
				continue;
			kinds[kind] = make(context, &directories[i], kind);
			if (kinds[kind] == -ECANCELED) {
				views_free(views);
				return -ECANCELED;
			}
		}
	}
	*result = views;
	return 0;
}

void views_free(struct views *views)
{
	if (!views)
		return;
	for (size_t i = 0; i < views->count; i++)
		for (uint32_t kind = 0; kind < VIEW_KINDS; kind++)
			if (views->descriptors[i][kind] >= 0)
				close(views->descriptors[i][kind]);
	free(views->descriptors);
	free(views);
}

int views_get(const struct views *views, uint32_t directory, uint32_t attributes)
{
	if (directory >= views->count || attributes >= VIEW_KINDS)
		return -EACCES;
	const int *kinds = views->descriptors[directory];
	if (kinds[attributes] == ABSENT)
		attributes &= ~(uint32_t)VIEW_EXEC;
	return kinds[attributes] == ABSENT ? -EACCES : kinds[attributes];
}
