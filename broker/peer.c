/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>

/* More groups than this cost an allocation while the peer is identified. */
#define GROUPS_USUAL 64

static int identify(int connection, const struct policy *policy, gid_t *groups, socklen_t bytes,
	struct peer *peer)
{
	if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return -errno;
	struct policy_identity identity = {
		.uid = peer->uid,
		.gid = peer->gid,
		.groups = groups,
		.group_count = bytes / sizeof(gid_t),
		.via = peer->via,
	};
	return policy_caller_new(policy, &identity, &peer->caller);
}

int peer_identify(int connection, const char *via, const struct policy *policy, struct peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	gid_t usual[GROUPS_USUAL];

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return -errno;
	*peer = (struct peer){
		.uid = credentials.uid,
		.gid = credentials.gid,
		.pid = credentials.pid,
		.via = via,
	};
	int error = identify(connection, policy, usual, sizeof(usual), peer);
	if (error != -ERANGE)
		return error;

	/* The kernel says how much room it takes. */
	length = 0;
	getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, NULL, &length);
	gid_t *groups = malloc(length ? length : 1);
	if (!groups)
		return -ENOMEM;
	error = identify(connection, policy, groups, length, peer);
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
