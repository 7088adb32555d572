/* SPDX-License-Identifier: MIT */
/*
 * template.h: a directory of the policy that is another one for each caller ("/srv/%U", "%h/.config"), at the maker's
 * end: its text becomes a path by a caller's uid and what the worker said about users while it loaded. So a worker
 * that is not itself any more can choose whose directory it gets, but never name one.
 */
#ifndef BROKER_TEMPLATE_H
#define BROKER_TEMPLATE_H

#include "channel.h"

#include <sys/types.h>

struct template_user {
	uint32_t uid;
	char *name, *home; /* NULL: it has no such value */
};

/* Users by their uids, ascending. */
struct template_users {
	struct template_user *list;
	size_t count, room;
};

/*
 * Notes a USER: its text is the name, then the home, which begins with a '/'; either may be missing. 0, or a negative
 * errno: -EPROTO where this is nothing that a worker says, -ENOMEM.
 */
int template_remember(struct template_users *users, const struct channel_message *message);

/*
 * Writes the path of the directory `text` for a caller of that uid: %U is the uid, %u and %h are what is known of it,
 * %% is the character. 0 or a negative errno: -ENOENT (there is no such value), -ENAMETOOLONG, -EINVAL (it would be
 * no canonical path).
 */
int template_expand(const struct template_users *users, const char *text, uid_t uid,
	char path[CHANNEL_TEXT_MAX + 1]);

/* Likewise, but for any name, such as an abstract socket's: it need be no path. */
int template_write(const struct template_users *users, const char *text, uid_t uid,
	char name[CHANNEL_TEXT_MAX + 1]);

#endif
