/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct template_users *users)
{
	size_t room = users->room ? 2 * users->room : 64;
	struct template_user *list;

	if (users->count < users->room)
		return true;
	list = realloc(users->list, room * sizeof(*list));
	if (!list)
		return false;
	users->list = list;
	users->room = room;
	return true;
}

int template_remember(struct template_users *users, const struct channel_message *message)
{
	struct template_user user = {.uid = message->uid};
	size_t length = strcspn(message->text, "/");

	if (users->count && users->list[users->count - 1].uid >= user.uid)
		return -EPROTO;
	if (!reserve(users))
		return -ENOMEM;
	if (length)
		user.name = strndup(message->text, length);
	if (message->text[length])
		user.home = strdup(message->text + length);
	if ((length && !user.name) || (message->text[length] && !user.home)) {
		free(user.name);
		free(user.home);
		return -ENOMEM;
	}
	users->list[users->count++] = user;
	return 0;
}

static int compare(const void *key, const void *element)
{
	uint32_t uid = *(const uint32_t *)key;
	const struct template_user *user = element;

	return uid < user->uid ? -1 : uid > user->uid;
}

/* Whether every component is a name. */
static bool is_canonical(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path) {
		size_t length = strcspn(++path, "/");
		if (length == 0 || (length == 1 && path[0] == '.') ||
			(length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += length;
	}
	return true;
}

int template_write(const struct template_users *users, const char *text, uid_t uid,
	char path[CHANNEL_TEXT_MAX + 1])
{
	uint32_t key = uid;
	const struct template_user *user = users->count ? bsearch(&key, users->list, users->count,
								  sizeof(*users->list), compare)
							: NULL;
	char number[12];
	size_t used = 0;

	snprintf(number, sizeof(number), "%u", (unsigned int)uid);
	for (; *text; text++) {
		const char *value = text;
		size_t length = 1;
		if (*text == '%') {
			text++;
			value = *text == 'U'	       ? number
				: *text == 'u' && user ? user->name
				: *text == 'h' && user ? user->home
				: *text == '%'	       ? "%"
						       : NULL;
			if (!value)
				return *text ? -ENOENT : -EINVAL;
			length = strlen(value);
		}
		if (used + length > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
		memcpy(path + used, value, length);
		used += length;
	}
	path[used] = '\0';
	return 0;
}

int template_expand(const struct template_users *users, const char *text, uid_t uid,
	char path[CHANNEL_TEXT_MAX + 1])
{
	int error = template_write(users, text, uid, path);

	return error || is_canonical(path) ? error : -EINVAL;
}
