/* SPDX-License-Identifier: MIT */
/*
 * reloads.h: who has asked for a reload, and is to be told what became of it. Whoever asks while one is under way means
 * the policy as it is then, which may not be what is being loaded: so he waits for the next one.
 */
#ifndef BROKER_RELOADS_H
#define BROKER_RELOADS_H

#include "channel.h"
#include "clients.h"
#include "state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clients that may wait; those beyond get EBUSY. */
#define RELOADS_MAX 16

struct reloads_asker {
	uint32_t client, id; /* of the request */
	enum { RELOADS_WAITS, RELOADS_UNDER_WAY, RELOADS_TOLD } state;
	int error;
};

struct reloads {
	bool signalled;		      /* somebody else wants the next one, as by SIGHUP */
	struct reloads_asker *askers; /* until they have been told */
	size_t count, room;
	char text[CHANNEL_TEXT_MAX + 1]; /* for those who are told */
};

void reloads_signal(struct reloads *reloads);

/* 0, or -ENOMEM: he cannot even be told. */
int reloads_ask(struct reloads *reloads, uint32_t client, uint32_t id);

/* That client's connection has ended, and its number may come to be another's. What it has asked for is done. */
void reloads_forget(struct reloads *reloads, uint32_t client);

/* Whether somebody waits for one to begin. */
bool reloads_wanted(const struct reloads *reloads);

/* One begins, for all who have asked. Then its end: 0 or a positive errno, and text for a person. */
void reloads_begin(struct reloads *reloads);
void reloads_end(struct reloads *reloads, int error, const char *text);

/* Sends the answers to the worker that has the clients. 0, -EAGAIN: it has no room now; or another negative errno. */
int reloads_answer(struct reloads *reloads, struct clients *clients, int channel);

/* Writes or reads all of it (state.h). */
void reloads_transfer(struct reloads *reloads, struct state *state);

void reloads_free(struct reloads *reloads);

#endif
