/* SPDX-License-Identifier: MIT */
#include "moving.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

/* Each thread has one at most: a list is short enough. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct moving *first;

int moving_add(
	struct moving *moving, int directory, const char *name, bool stays_file, bool directory_may)
{
	struct stat status;

	if (fstat(directory, &status) < 0)
		return -errno;
	moving->names[moving->count++] = (struct moving_name){
		.device = status.st_dev,
		.inode = status.st_ino,
		.name = name,
		.stays_file = stays_file,
		.directory = directory_may,
	};
	return 0;
}

static bool rule_out(const struct moving_name *one, const struct moving_name *other)
{
	return ((one->stays_file && other->directory) || (one->directory && other->stays_file)) &&
	       one->inode == other->inode && one->device == other->device &&
	       strcmp(one->name, other->name) == 0;
}

static bool is_free(const struct moving *moving)
{
	for (const struct moving *other = first; other; other = other->next)
		for (unsigned int i = 0; i < moving->count; i++)
			for (unsigned int k = 0; k < other->count; k++)
				if (rule_out(&moving->names[i], &other->names[k]))
					return false;
	return true;
}

bool moving_begin(struct moving *moving)
{
	pthread_mutex_lock(&mutex);
	bool begins = is_free(moving);
	if (begins) {
		moving->next = first;
		first = moving;
	}
	pthread_mutex_unlock(&mutex);
	return begins;
}

void moving_end(struct moving *moving)
{
	struct moving **at = &first;

	pthread_mutex_lock(&mutex);
	while (*at != moving)
		at = &(*at)->next;
	*at = moving->next;
	pthread_mutex_unlock(&mutex);
}
