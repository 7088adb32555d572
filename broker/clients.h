/* SPDX-License-Identifier: MIT */
/*
 * clients.h: the supervisor's copies of the clients' sockets, so that a connection survives the worker that served it.
 * Nothing is ever read from them here.
 */
#ifndef BROKER_CLIENTS_H
#define BROKER_CLIENTS_H

#include "sockets.h"
#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct clients;

/* At most `most` of them. NULL with errno. */
struct clients *clients_new(uint32_t most);

/*
 * Takes a socket, which was accepted on `address` (it must outlive the client), to be given to a worker when `due` has
 * come (ms of clock.h; 0: at once). 0 or a negative errno; the socket is the table's in any case.
 */
int clients_add(struct clients *clients, int socket, const char *address, int64_t due);
/* Those whose time has come are to be given, or have gone and are forgotten. Returns when that of the next one comes, 0 where nobody waits. */
int64_t clients_turn(struct clients *clients, int64_t now);
/* How many wait for their time. */
size_t clients_waiting(const struct clients *clients);
/* Whether the client has closed its end, and so waits for no answer. One that has only shut it down for writing may. */
bool clients_has_gone(int socket);
/* Whether there are any to be given. */
bool clients_wait(const struct clients *clients);
bool clients_full(const struct clients *clients);
size_t clients_count(const struct clients *clients);

/* The worker has ended that connection. False where there is none: no worker says that. */
bool clients_drop(struct clients *clients, uint32_t index);

/* The worker could not take it: it is given again. False where it had not been given. */
bool clients_back(struct clients *clients, uint32_t index);

/* The client's request of that id is to be answered by whichever worker has it then; 0: it has been. */
void clients_expect(struct clients *clients, uint32_t index, uint32_t id);

/* Another worker serves from now on: all are to be given to it. */
void clients_give_all(struct clients *clients);

/*
 * Gives a worker, over its channel, those that it has not been given. 0: all. -EAGAIN: it has no room for more now.
 * Another negative errno: it is gone.
 */
int clients_give(struct clients *clients, int channel);

/* The uid that connected; false where there is no such client. */
bool clients_uid(const struct clients *clients, uint32_t index, uid_t *uid);

/*
 * Writes all of them, or reads them into a table that is empty (state.h). They were accepted on `sockets`, of which
 * the same is done before.
 */
void clients_transfer(struct clients *clients, const struct sockets *sockets, struct state *state);

/* Calls `each` for every client: its index, socket and address. */
void clients_each(const struct clients *clients,
	void (*each)(void *context, uint32_t index, int socket, const char *address),
	void *context);

/* What tells the maker which sockets are theirs (vouch.h): the table's own. */
int clients_vouched(const struct clients *clients);

/* Closes the copies. */
void clients_free(struct clients *clients);

#endif
