/* SPDX-License-Identifier: MIT */
/*
 * behalf.h: the maker makes a socket, or an inotify instance, as the client who asked for it (agent.h).
 *
 * Who that is it does not take from the worker: it is sent the client's own socket, sees that it is the one that the
 * supervisor has given the worker (vouch.h), and asks the kernel. A worker that is not itself any more can thus act as
 * those alone who are connected to the daemon, and reach, as they, only what some rule names: while it loads it names each rule, later it says no more than a rule's number, and for TCP and UDP an
 * address and a port, which are compared with the rule here. What is watched it must have open itself.
 *
 *	worker, loading		SOCKET (index, endpoint, name)		each socket of the policy
 *	worker, any time	CONNECT, BIND (index, endpoint; attributes: the client's number; his socket)
 *									-> the same (error or the socket)
 *				NOTIFY (attributes: a mask; time; index: the client's number; his socket, object)
 *									-> NOTIFY (error or the instance; index: the watch)
 */
#ifndef BROKER_BEHALF_H
#define BROKER_BEHALF_H

#include "channel.h"
#include "template.h"

struct behalf;

/* `vouched` is what the supervisor says of clients (vouch.h). `users` is for names with variables; what the worker says of them comes before it asks. NULL where memory is short. */
struct behalf *behalf_new(int vouched, const struct template_users *users);

/* Notes a SOCKET, in the order of the worker's. 0; a negative errno where this is nothing that a worker says. */
int behalf_name(struct behalf *behalf, const struct channel_message *message);

/*
 * Puts the answer to a CONNECT, BIND or NOTIFY in its place, and closes its descriptors; that of the answer is the
 * caller's to send and to close. May take as long as the message says. 0; a negative errno where this is nothing that a
 * worker says.
 */
int behalf_answer(const struct behalf *behalf, struct channel_message *message);

#endif
