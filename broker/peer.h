/* SPDX-License-Identifier: MIT */
/*
 * peer.h: who is calling. Asked of the kernel once, at accept, and never again: nothing that a
 * client sends can change it.
 */
#ifndef BROKER_PEER_H
#define BROKER_PEER_H

#include "policy.h"
#include "process.h"

#include <stdbool.h>
#include <sys/socket.h>

struct questions;

struct peer {
	uid_t uid; /* effective, when it connected */
	gid_t gid;
	pid_t pid; /* for the record only: the process may be gone and its number another's */
	char comm[PROCESS_COMM_MAX]; /* likewise; "" where it was not asked for */
	const char *via;
	struct policy_caller *caller; /* the peer's own */
};

/* Fills in who connected to `via`, but for who he is to the policy. 0 or a negative errno. */
int peer_begin(int connection, const char *via, struct peer *peer);

/* Whether the policy tells callers apart by what they run or by their unit, so that the maker must be asked. */
bool peer_takes_time(const struct policy *policy);

/*
 * Finds out who the peer is to the policy: `caller`, to be released by peer_release. Where that takes time it waits
 * for the maker (`questions`), who is told the supervisor's `number` for the client. 0, or a negative errno: of settle_ask, -ENOMEM.
 */
int peer_identify(int connection, uint32_t number, const struct policy *policy,
	struct questions *questions, struct peer *peer);
void peer_release(struct peer *peer);

/*
 * Whether the sender of a message, as SCM_CREDENTIALS names it, may speak for this peer: it must be
 * the same uid and gid. The two differ when a set-uid program was tricked into connecting (the
 * connection is the effective uid's, the message the real one's) and when the connection was handed
 * to somebody else.
 */
bool peer_sent(const struct peer *peer, const struct ucred *sender);

#endif
