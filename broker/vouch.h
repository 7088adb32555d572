/* SPDX-License-Identifier: MIT */
/*
 * vouch.h: which sockets are clients' own. The supervisor, which accepts them, writes down for each client which socket
 * he has; the maker, which acts in clients' names, reads it. The worker hands over a socket and says whose it is, and
 * has no way to this: what it hands over can only be what the supervisor has given it. Any other socket would name somebody
 * too: the channels between our own processes root, and so would the end of a connection that root was brought to make
 * elsewhere, to a name like ours.
 *
 * A socket is known by its cookie (SO_COOKIE, socket(7)), a number that the kernel gives to no other one while it runs
 * (since Linux 5.4 in all network namespaces together). It is written before the client is given to a worker, and taken
 * back when the worker has ended the connection.
 */
#ifndef BROKER_VOUCH_H
#define BROKER_VOUCH_H

#include <stdbool.h>
#include <stdint.h>

/* What it is written to: a descriptor, close-on-exec, the caller's, or a negative errno. */
int vouch_new(void);

/* The supervisor: that client has this socket. 0 or a negative errno. */
int vouch_for(int file, uint32_t client, int socket);
/* Nobody has it any more. */
void vouch_end(int file, uint32_t client);

/*
 * The maker: whether that client has this socket. 0; -EACCES where he has no longer, since the connection has ended
 * meanwhile; -EPROTO where no worker says so.
 */
int vouch_check(int file, uint32_t client, int socket);

/* Whether the connection has ended, at either end, whatever the worker has said of it. */
bool vouch_ended(int connection);

#endif
