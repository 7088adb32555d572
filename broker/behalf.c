/* SPDX-License-Identifier: MIT */
#include "behalf.h"

#include "agent.h"
#include "vouch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sockets that a worker may name. */
#define SOCKETS_MAX 65536
/* ms that anything may take. */
#define TIME_MAX (86400 * 1000)

struct rule {
	struct endpoint endpoint;
	char *name; /* of a UNIX socket */
};

struct behalf {
	int vouched;
	const struct template_users *users;
	struct rule *rules; /* constant once the worker has loaded */
	uint32_t count, room;
};

struct behalf *behalf_new(int vouched, const struct template_users *users)
{
	struct behalf *behalf = calloc(1, sizeof(*behalf));

	if (behalf) {
		behalf->vouched = vouched;
		behalf->users = users;
	}
	return behalf;
}

int behalf_name(struct behalf *behalf, const struct channel_message *message)
{
	struct rule rule = {.endpoint = message->endpoint};

	if (message->index != behalf->count || behalf->count == SOCKETS_MAX)
		return -EPROTO;
	if (behalf->count == behalf->room) {
		uint32_t room = behalf->room ? 2 * behalf->room : 16;
		struct rule *rules = realloc(behalf->rules, room * sizeof(*rules));
		if (!rules)
			return -ENOMEM;
		behalf->rules = rules;
		behalf->room = room;
	}
	rule.name = strdup(message->text);
	if (!rule.name)
		return -ENOMEM;
	behalf->rules[behalf->count++] = rule;
	return 0;
}

/* ---- who asks --------------------------------------------------------------------------------- */

/* The number that the worker says the client has. */
static uint32_t number_of(const struct channel_message *message)
{
	return message->type == CHANNEL_NOTIFY ? message->index : message->attributes;
}

/* Its groups are malloc'ed. 0 or a negative errno. */
static int find_identity(int client, struct identity *identity)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials), bytes = 0;

	/* Anything but the end of a connection names nobody. */
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0 ||
		credentials.uid == (uid_t)-1 || credentials.gid == (gid_t)-1)
		return -EPROTO;
	/* Without room the kernel says how much it takes; without groups there is nothing to say. */
	if (getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) < 0 && errno != ERANGE)
		return -errno;
	identity->uid = credentials.uid;
	identity->gid = credentials.gid;
	identity->group_count = bytes / sizeof(gid_t);
	identity->groups = calloc(identity->group_count + 1, sizeof(gid_t));
	if (!identity->groups)
		return -ENOMEM;
	if (bytes && getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, identity->groups, &bytes) < 0) {
		free(identity->groups);
		return -errno;
	}
	return 0;
}

/* ---- what he may ask -------------------------------------------------------------------------- */

/* The name that the rule has for this caller. -EACCES where it has none. */
static int expand(const struct behalf *behalf, const struct rule *rule, uid_t uid,
	char name[CHANNEL_TEXT_MAX + 1])
{
	int error = rule->endpoint.abstract ? template_write(behalf->users, rule->name, uid, name)
					    : template_expand(behalf->users, rule->name, uid, name);

	return error == -ENOENT || error == -EINVAL ? -EACCES : error;
}

/* Whether the question has what it takes, and a rule stands behind it. */
static bool is_covered(const struct behalf *behalf, const struct channel_message *message)
{
	if (message->type == CHANNEL_NOTIFY)
		return message->object > 0;
	return message->object == 0 && message->index < behalf->count &&
	       endpoint_covers(&behalf->rules[message->index].endpoint,
		       message->type == CHANNEL_BIND ? ENDPOINT_BIND : ENDPOINT_CONNECT,
		       &message->endpoint);
}

/* Does what was asked for. The descriptor or a negative errno. */
static int do_it(const struct behalf *behalf, const struct identity *identity,
	struct channel_message *message, int32_t *watch)
{
	char name[CHANNEL_TEXT_MAX + 1];
	struct act act = {
		.kind = message->type == CHANNEL_NOTIFY ? ACT_WATCH
			: message->type == CHANNEL_BIND ? ACT_BIND
							: ACT_CONNECT,
		.at = message->endpoint,
		.object = message->type == CHANNEL_NOTIFY ? message->object : -1,
		.mask = message->attributes,
	};
	uint32_t time = message->endpoint.time;

	if (message->type != CHANNEL_NOTIFY) {
		const struct rule *rule = &behalf->rules[message->index];
		bool local = rule->endpoint.protocol == ENDPOINT_UNIX ||
			     rule->endpoint.protocol == ENDPOINT_UNIX_DATAGRAM;
		int error = local ? expand(behalf, rule, identity->uid, name) : 0;
		if (error)
			return error;
		/* What is not to be the caller's to choose is the rule's. */
		act.at.abstract = rule->endpoint.abstract;
		act.at.mode &= rule->endpoint.mode;
		act.owner = rule->endpoint.owner == ENDPOINT_CALLER ? identity->uid
								    : rule->endpoint.owner;
		act.group = rule->endpoint.group == ENDPOINT_CALLER ? identity->gid
								    : rule->endpoint.group;
		if (local)
			act.name = name;
	}
	return agent_run(identity, &act, time < TIME_MAX ? (int)time : TIME_MAX, watch);
}

int behalf_answer(const struct behalf *behalf, struct channel_message *message)
{
	struct identity identity;
	int32_t watch = -1;
	int error = is_covered(behalf, message) ? find_identity(message->descriptor, &identity)
						: -EPROTO;

	if (!error) {
		error = vouch_check(behalf->vouched, number_of(message), message->descriptor);
		/* Nothing is done in the name of who has gone, though the worker keep his socket. */
		if (!error && vouch_ended(message->descriptor))
			error = -EACCES;
		if (error)
			free(identity.groups);
	}
	int made = error;
	if (!error) {
		made = do_it(behalf, &identity, message, &watch);
		free(identity.groups);
	}
	close(message->descriptor);
	if (message->object > 0)
		close(message->object);
	message->object = 0;
	message->descriptor = made < 0 ? -1 : made;
	message->error = made < 0 ? -made : 0;
	message->index = (uint32_t)watch;
	message->text[0] = '\0';
	return error == -EPROTO ? error : 0;
}
