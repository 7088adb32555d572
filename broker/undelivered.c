/* SPDX-License-Identifier: MIT */
#include "undelivered.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct undelivered_socket {
	struct undelivered_socket *next;
	int socket;
	uint32_t client;
	struct account *account;
	uint64_t due;
};

/* When the client closes its end, the kernel empties the queue. */
static bool is_empty(int socket)
{
	int queued;

	return ioctl(socket, SIOCOUTQ, &queued) < 0 || queued == 0;
}

/* The account first: it must not look at a number that is somebody else's socket by then. */
static void end(struct undelivered *undelivered, int socket, uint32_t client,
	struct account *account, uint64_t now)
{
	account_close(account, now);
	close(socket);
	if (undelivered->closed)
		undelivered->closed(undelivered->context, client);
}

static void append(struct undelivered *undelivered, struct undelivered_socket *one, uint64_t now)
{
	one->next = NULL;
	one->due = now + UNDELIVERED_PAUSE;
	if (undelivered->last)
		undelivered->last->next = one;
	else
		undelivered->first = one;
	undelivered->last = one;
}

static struct undelivered_socket *take_first(struct undelivered *undelivered)
{
	struct undelivered_socket *one = undelivered->first;

	undelivered->first = one->next;
	if (!undelivered->first)
		undelivered->last = NULL;
	return one;
}

void undelivered_add(struct undelivered *undelivered, int socket, uint32_t client,
	struct account *account, uint64_t now)
{
	struct undelivered_socket *one = NULL;

	shutdown(socket, SHUT_RDWR);
	if (!is_empty(socket))
		one = malloc(sizeof(*one));
	if (!one) {
		end(undelivered, socket, client, account, now);
		return;
	}
	one->socket = socket;
	one->client = client;
	one->account = account;
	append(undelivered, one, now);
}

int undelivered_check(struct undelivered *undelivered, uint64_t now)
{
	/* Those looked at now are due after `now`. */
	while (undelivered->first && undelivered->first->due <= now) {
		struct undelivered_socket *one = take_first(undelivered);
		if (is_empty(one->socket)) {
			end(undelivered, one->socket, one->client, one->account, now);
			free(one);
		} else {
			append(undelivered, one, now);
		}
	}
	if (!undelivered->first)
		return -1;
	/* Rounded up, so that it is due then; and no longer than that, whatever the clock did. */
	uint64_t left = undelivered->first->due - now;
	if (left > UNDELIVERED_PAUSE)
		left = UNDELIVERED_PAUSE;
	return (int)((left + 999999) / 1000000);
}

void undelivered_release(struct undelivered *undelivered, uint64_t now)
{
	while (undelivered->first) {
		struct undelivered_socket *one = take_first(undelivered);
		end(undelivered, one->socket, one->client, one->account, now);
		free(one);
	}
}
