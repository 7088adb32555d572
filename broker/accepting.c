/* SPDX-License-Identifier: MIT */
#include "supervisor-parts.h"

#include "fdbroker-protocol.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* ms without accepting when there is no room for another connection. */
#define ACCEPT_PAUSE 100
/* Those of all uids together that wait for their turn: a line that is walked through for each that joins it. */
#define WAITING_MAX 1024
/* Connections accepted before the others get their turn. */
#define ACCEPT_BURST 16

bool accepting_is_open(const struct supervisor *supervisor)
{
	return supervisor->sockets.listening && !supervisor->stopping && !supervisor->pause &&
	       !supervisor->crowded && !clients_full(supervisor->clients);
}

/* Rounded up; 0 stays 0. */
static int64_t to_ms(uint64_t ns)
{
	return (int64_t)((ns + 999999) / 1000000);
}

/* He is told why, and connects again later. */
static void refuse(int socket)
{
	const struct fdbroker_reply reply = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.error = EDQUOT,
	};

	send(socket, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(socket);
}

/* Takes the connection of one who may wait for his turn. 0 or a negative errno. */
static int admit(struct supervisor *supervisor, int socket, const char *address)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	struct pace_answer answer = {0};

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0)
		pace_take(supervisor->pace, peer.uid, clock_ns(), &answer);
	if (answer.tell)
		log_pace(supervisor, &answer.news);
	if (answer.refused ||
		(answer.wait && clients_waiting(supervisor->clients) >= WAITING_MAX)) {
		refuse(socket);
		return 0;
	}
	/* Who connects and goes costs the worker nothing, and the other clients little. */
	if (clients_has_gone(socket)) {
		close(socket);
		return 0;
	}
	int64_t due = answer.wait ? clock_ms() + to_ms(answer.wait) : 0;
	return clients_add(supervisor->clients, socket, address, due);
}

int64_t accepting_turn(struct supervisor *supervisor, int64_t now)
{
	int64_t next = clients_turn(supervisor->clients, now);
	struct pace_news news;

	if (clients_wait(supervisor->clients))
		succession_give(supervisor);
	while (pace_next(supervisor->pace, clock_ns(), &news))
		log_pace(supervisor, &news);
	int64_t due = to_ms(pace_due(supervisor->pace));
	return due && (!next || due < next) ? due : next;
}

void accepting_clients(struct supervisor *supervisor, const struct listener *listener)
{
	for (int i = 0; i < ACCEPT_BURST && accepting_is_open(supervisor); i++) {
		int socket = accept4(listener->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int error = socket < 0 ? -errno : 0, on = 1;
		if (!error) {
			/* It has it from its listener, unless it was queued on an inherited one before that got
			 * it. What is sent before accept(2) names its sender in any case. */
			setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
			error = admit(supervisor, socket, listener->address);
		}
		if (error == -EAGAIN)
			break;
		if (error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM) {
			log_crowd(supervisor, error);
			supervisor->pause = clock_ms() + ACCEPT_PAUSE;
		}
		/* Else that one is gone; the next may not be. */
	}
	/* It accepts again when one of them goes. */
	if (clients_full(supervisor->clients))
		log_crowd(supervisor, -EMFILE);
	succession_give(supervisor);
}

void accepting_mend(struct supervisor *supervisor)
{
	if (!supervisor->stopping && sockets_mend(&supervisor->sockets))
		succession_stop(supervisor, 1);
}
