/* SPDX-License-Identifier: MIT */
/*
 * peer.h: who is calling. Asked of the kernel once, at accept, and never again: nothing that a
 * client sends can change it.
 */
#ifndef BROKER_PEER_H
#define BROKER_PEER_H

#include "policy.h"
#include "process.h"

#include <sys/socket.h>

struct peer {
	uid_t uid; /* effective, when it connected */
	gid_t gid;
	pid_t pid; /* for the record only: the process may be gone and its number another's */
	char comm[PROCESS_COMM_MAX]; /* likewise; "" where it was not asked for */
	const char *via;
	struct policy_caller *caller; /* the peer's own */
};

/*
 * Finds out who is at the other end of `connection`, which was accepted on the address `via` (it must
 * outlive the peer), and which subjects of `policy` that is. Where the policy tells callers apart by
 * what they run or by their unit, the supervisor is asked, over `questions`, and waited for. 0, or a
 * negative errno: -ENOMEM, or what getsockopt(2) gives (SO_PEERCRED, SO_PEERGROUPS: unix(7),
 * socket(7)), or those of settle_ask.
 */
int peer_identify(int connection, const char *via, const struct policy *policy, int questions,
	struct peer *peer);
void peer_release(struct peer *peer);

/*
 * Whether the sender of a message, as SCM_CREDENTIALS names it, may speak for this peer: it must be
 * the same uid and gid. The two differ when a set-uid program was tricked into connecting (the
 * connection is the effective uid's, the message the real one's) and when the connection was handed
 * to somebody else.
 */
bool peer_sent(const struct peer *peer, const struct ucred *sender);

#endif
