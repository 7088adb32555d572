/* SPDX-License-Identifier: MIT */
#include "clients.h"

#include "channel.h"
#include "vouch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NONE UINT32_MAX

struct client {
	int socket;	     /* -1: the place is free */
	const char *address; /* it was accepted on */
	int64_t due;	     /* ms: not given before that */
	bool given;	     /* the worker has it */
	bool old;	     /* some worker has had it */
	uint32_t expects;    /* the id of its request for a reload; 0: none */
	uint32_t next;	     /* free place, client to be given, or one that waits */
};

struct clients {
	struct client *list;
	uint32_t room, count, most;
	int vouched;	      /* vouch.h */
	uint32_t free;	      /* the first free place below `room`; NONE */
	uint32_t first, last; /* to be given, in this order; NONE */
	uint32_t waiting;     /* the one whose time comes first; NONE */
	uint32_t waiters;     /* how many there are of these */
};

struct clients *clients_new(uint32_t most)
{
	struct clients *clients = calloc(1, sizeof(*clients));

	if (!clients)
		return NULL;
	clients->most = most;
	clients->free = clients->first = clients->last = clients->waiting = NONE;
	clients->vouched = vouch_new();
	if (clients->vouched < 0) {
		errno = -clients->vouched;
		free(clients);
		return NULL;
	}
	return clients;
}

int clients_vouched(const struct clients *clients)
{
	return clients->vouched;
}

static int grow(struct clients *clients)
{
	uint32_t room = clients->room ? 2 * clients->room : 64;
	struct client *list = realloc(clients->list, room * sizeof(*list));

	if (!list)
		return -ENOMEM;
	clients->list = list;
	for (uint32_t i = room; i-- > clients->room;) {
		list[i] = (struct client){.socket = -1, .next = clients->free};
		clients->free = i;
	}
	clients->room = room;
	return 0;
}

static void put_in_line(struct clients *clients, uint32_t index)
{
	clients->list[index].next = NONE;
	if (clients->last == NONE)
		clients->first = index;
	else
		clients->list[clients->last].next = index;
	clients->last = index;
}

/* Few wait: each uid has a bound, and comes behind those of its own. */
static void put_off(struct clients *clients, uint32_t index)
{
	uint32_t *link = &clients->waiting;

	while (*link != NONE && clients->list[*link].due <= clients->list[index].due)
		link = &clients->list[*link].next;
	clients->list[index].next = *link;
	*link = index;
	clients->waiters++;
}

bool clients_has_gone(int socket)
{
	struct pollfd peer = {.fd = socket};

	return poll(&peer, 1, 0) == 1 && (peer.revents & POLLHUP);
}

static void end(struct clients *clients, uint32_t index)
{
	vouch_end(clients->vouched, index);
	close(clients->list[index].socket);
	clients->list[index] = (struct client){.socket = -1, .next = clients->free};
	clients->free = index;
	clients->count--;
}

int64_t clients_turn(struct clients *clients, int64_t now)
{
	while (clients->waiting != NONE && clients->list[clients->waiting].due <= now) {
		uint32_t index = clients->waiting;
		clients->waiting = clients->list[index].next;
		clients->waiters--;
		if (clients_has_gone(clients->list[index].socket))
			end(clients, index);
		else
			put_in_line(clients, index);
	}
	return clients->waiting == NONE ? 0 : clients->list[clients->waiting].due;
}

size_t clients_waiting(const struct clients *clients)
{
	return clients->waiters;
}

bool clients_wait(const struct clients *clients)
{
	return clients->first != NONE;
}

bool clients_full(const struct clients *clients)
{
	return clients->count >= clients->most;
}

size_t clients_count(const struct clients *clients)
{
	return clients->count;
}

int clients_add(struct clients *clients, int socket, const char *address, int64_t due)
{
	int error = clients_full(clients) ? -EMFILE : 0;

	if (!error && clients->free == NONE)
		error = grow(clients);
	if (!error)
		error = vouch_for(clients->vouched, clients->free, socket);
	if (error) {
		close(socket);
		return error;
	}
	uint32_t index = clients->free;
	clients->free = clients->list[index].next;
	clients->list[index] = (struct client){.socket = socket, .address = address, .due = due};
	clients->count++;
	if (due)
		put_off(clients, index);
	else
		put_in_line(clients, index);
	return 0;
}

static struct client *find(const struct clients *clients, uint32_t index)
{
	return index < clients->room && clients->list[index].socket >= 0 ? &clients->list[index]
									 : NULL;
}

bool clients_drop(struct clients *clients, uint32_t index)
{
	struct client *client = find(clients, index);

	/* One that waits to be given is not the worker's to end. */
	if (!client || !client->given)
		return false;
	end(clients, index);
	return true;
}

bool clients_back(struct clients *clients, uint32_t index)
{
	struct client *client = find(clients, index);

	if (!client || !client->given)
		return false;
	client->given = false;
	put_in_line(clients, index);
	return true;
}

void clients_expect(struct clients *clients, uint32_t index, uint32_t id)
{
	struct client *client = find(clients, index);

	if (client)
		client->expects = id;
}

void clients_give_all(struct clients *clients)
{
	clients->first = clients->last = clients->waiting = NONE;
	clients->waiters = 0;
	for (uint32_t i = 0; i < clients->room; i++) {
		if (clients->list[i].socket < 0)
			continue;
		clients->list[i].old = clients->list[i].old || clients->list[i].given;
		clients->list[i].given = false;
		put_in_line(clients, i);
	}
}

int clients_give(struct clients *clients, int channel)
{
	while (clients->first != NONE) {
		struct client *client = &clients->list[clients->first];
		struct channel_message message = {
			.type = CHANNEL_CLIENT,
			.index = clients->first,
			.attributes = client->old,
			.id = client->expects,
			.descriptor = client->socket,
		};
		snprintf(message.text, sizeof(message.text), "%s", client->address);
		int error = channel_send(channel, &message);
		if (error)
			return error;
		client->given = true;
		clients->first = client->next;
		if (clients->first == NONE)
			clients->last = NONE;
	}
	return 0;
}

bool clients_uid(const struct clients *clients, uint32_t index, uid_t *uid)
{
	const struct client *client = find(clients, index);
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (!client ||
		getsockopt(client->socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return false;
	*uid = credentials.uid;
	return true;
}

/* Which of the listeners has the address: there are few. */
static unsigned int find_listener(const struct sockets *sockets, const char *address)
{
	unsigned int i = 0;

	while (i < sockets->count && sockets->listeners[i].address != address)
		i++;
	return i;
}

static void transfer_one(struct client *client, const struct sockets *sockets, struct state *state)
{
	unsigned int listener = find_listener(sockets, client->address);

	state_descriptor(state, &client->socket);
	state_integer(state, listener);
	state_integer(state, client->given);
	state_integer(state, client->old);
	state_integer(state, client->expects);
	if (listener >= sockets->count && !state->error)
		state->error = -EPROTO;
	if (state->reads && !state->error)
		client->address = sockets->listeners[listener].address;
}

/* The places of the table that has been read: those that are free, and those that are to be given. */
static void put_in_lines(struct clients *clients)
{
	clients->free = clients->first = clients->last = clients->waiting = NONE;
	for (uint32_t i = clients->room; i-- > 0;) {
		if (clients->list[i].socket >= 0)
			continue;
		clients->list[i].next = clients->free;
		clients->free = i;
	}
	for (uint32_t i = 0; i < clients->room; i++)
		if (clients->list[i].socket >= 0 && !clients->list[i].given)
			put_in_line(clients, i);
}

void clients_transfer(struct clients *clients, const struct sockets *sockets, struct state *state)
{
	uint32_t room = clients->room, count = clients->count, index = 0;

	if (state->reads)
		close(clients->vouched);
	state_descriptor(state, &clients->vouched);
	state_integer(state, room);
	state_integer(state, count);
	if (count > room && !state->error)
		state->error = -EPROTO;
	while (clients->room < room && !state->error)
		state->error = grow(clients);
	for (uint32_t i = 0; i < count && !state->error; i++, index++) {
		while (!state->reads && clients->list[index].socket < 0)
			index++;
		state_integer(state, index);
		if (index >= room)
			state->error = -EPROTO;
		else
			transfer_one(&clients->list[index], sockets, state);
	}
	if (state->reads && !state->error) {
		clients->count = count;
		put_in_lines(clients);
	}
}

void clients_each(const struct clients *clients,
	void (*each)(void *context, uint32_t index, int socket, const char *address), void *context)
{
	for (uint32_t i = 0; i < clients->room; i++)
		if (clients->list[i].socket >= 0)
			each(context, i, clients->list[i].socket, clients->list[i].address);
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	for (uint32_t i = 0; i < clients->room; i++)
		if (clients->list[i].socket >= 0)
			close(clients->list[i].socket);
	close(clients->vouched);
	free(clients->list);
	free(clients);
}
