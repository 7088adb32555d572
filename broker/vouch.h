/* SPDX-License-Identifier: MIT */
/*
 * vouch.h: which sockets are clients' own. The supervisor, which accepts them, writes down for each client which socket
 * he has; the maker, which acts in clients' names, reads it. The worker hands over a socket and says whose it is, and
 * has no way to this: what it hands over can only be what the supervisor has given it.
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

/* The maker: whether that client has this socket. */
bool vouch_is(int file, uint32_t client, int socket);

#endif
