/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "settle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(POLICY_EXES_MAX <= SETTLE_EXES_MAX, "the supervisor must be able to hear of all");

/* More groups than this cost a second try. */
#define GROUPS_USUAL 64
/* Bytes. Labels are a line of text; a longer one is not known. */
#define LABEL_MAX 4096

/* The security label, where there is a security module that has one (SO_PEERSEC, socket(7)). */
static const char *find_label(int connection, char *label, size_t size)
{
	socklen_t length = (socklen_t)size - 1;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERSEC, label, &length) < 0)
		return NULL;
	label[length] = '\0';
	return label;
}

/* The groups, in memory of their own, *count of them; NULL and a negative errno in *error. */
static gid_t *find_groups(int connection, size_t *count, int *error)
{
	socklen_t bytes = GROUPS_USUAL * sizeof(gid_t);
	gid_t *groups = NULL;

	/* Where the room is too small the kernel says how much it takes. */
	for (int i = 0; i < 2; i++) {
		gid_t *larger = realloc(groups, bytes ? bytes : 1);
		if (!larger) {
			errno = ENOMEM;
			break;
		}
		groups = larger;
		if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0) {
			*count = bytes / sizeof(gid_t);
			return groups;
		}
		if (errno != ERANGE)
			break;
	}
	*error = -errno;
	free(groups);
	return NULL;
}

int peer_begin(int connection, const char *via, struct peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return -errno;
	*peer = (struct peer){
		.uid = credentials.uid,
		.gid = credentials.gid,
		.pid = credentials.pid,
		.via = via,
	};
	return 0;
}

bool peer_takes_time(const struct policy *policy)
{
	size_t count;

	policy_exes(policy, &count);
	return count || policy_wants_unit(policy);
}

int peer_identify(int connection, uint32_t number, const struct policy *policy,
	struct questions *questions, struct peer *peer)
{
	struct settled settled;
	size_t exe_count;
	const char *const *exes = policy_exes(policy, &exe_count);
	char label[LABEL_MAX];
	struct policy_identity identity = {
		.uid = peer->uid,
		.gid = peer->gid,
		.via = peer->via,
		.label = find_label(connection, label, sizeof(label)),
	};
	int error = 0;

	if (peer_takes_time(policy)) {
		error = settle_ask(questions, connection, number, exes, exe_count, &settled);
		if (error)
			return error;
		identity.exes = settled.exes;
		identity.exe_count = settled.exe_count;
		strcpy(peer->comm, settled.comm);
		identity.unit = settled.unit[0] ? settled.unit : NULL;
	}
	gid_t *groups = find_groups(connection, &identity.group_count, &error);
	if (!groups)
		return error;
	identity.groups = groups;
	error = policy_caller_new(policy, &identity, &peer->caller);
	free(groups);
	return error;
}

void peer_release(struct peer *peer)
{
	policy_caller_free(peer->caller);
	peer->caller = NULL;
}

bool peer_sent(const struct peer *peer, const struct ucred *sender)
{
	return sender->uid == peer->uid && sender->gid == peer->gid;
}
