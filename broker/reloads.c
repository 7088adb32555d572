/* SPDX-License-Identifier: MIT */
#include "reloads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void reloads_signal(struct reloads *reloads)
{
	reloads->signalled = true;
}

static int add(struct reloads *reloads, const struct reloads_asker *asker)
{
	if (reloads->count == reloads->room) {
		size_t room = reloads->room ? 2 * reloads->room : RELOADS_MAX;
		struct reloads_asker *askers = realloc(reloads->askers, room * sizeof(*askers));
		if (!askers)
			return -ENOMEM;
		reloads->askers = askers;
		reloads->room = room;
	}
	reloads->askers[reloads->count++] = *asker;
	return 0;
}

int reloads_ask(struct reloads *reloads, uint32_t client, uint32_t id)
{
	struct reloads_asker asker = {.client = client, .id = id, .state = RELOADS_WAITS};
	size_t waiting = 0;

	for (size_t i = 0; i < reloads->count; i++)
		waiting += reloads->askers[i].state != RELOADS_TOLD;
	if (waiting >= RELOADS_MAX) {
		asker.state = RELOADS_TOLD;
		asker.error = EBUSY;
	}
	return add(reloads, &asker);
}

static void take_out(struct reloads *reloads, size_t i)
{
	reloads->count--;
	memmove(&reloads->askers[i], &reloads->askers[i + 1],
		(reloads->count - i) * sizeof(reloads->askers[i]));
}

void reloads_forget(struct reloads *reloads, uint32_t client)
{
	for (size_t i = reloads->count; i-- > 0;) {
		if (reloads->askers[i].client != client)
			continue;
		if (reloads->askers[i].state == RELOADS_WAITS)
			reloads->signalled = true;
		take_out(reloads, i);
	}
}

bool reloads_wanted(const struct reloads *reloads)
{
	bool wanted = reloads->signalled;

	for (size_t i = 0; i < reloads->count; i++)
		wanted = wanted || reloads->askers[i].state == RELOADS_WAITS;
	return wanted;
}

void reloads_begin(struct reloads *reloads)
{
	reloads->signalled = false;
	for (size_t i = 0; i < reloads->count; i++)
		if (reloads->askers[i].state == RELOADS_WAITS)
			reloads->askers[i].state = RELOADS_UNDER_WAY;
}

void reloads_end(struct reloads *reloads, int error, const char *text)
{
	snprintf(reloads->text, sizeof(reloads->text), "%s", text);
	for (size_t i = 0; i < reloads->count; i++) {
		if (reloads->askers[i].state != RELOADS_UNDER_WAY)
			continue;
		reloads->askers[i].state = RELOADS_TOLD;
		reloads->askers[i].error = error;
	}
}

static int answer(const struct reloads *reloads, const struct reloads_asker *asker, int channel)
{
	struct channel_message message = {
		.type = CHANNEL_RELOADED,
		.index = asker->client,
		.id = asker->id,
		.error = asker->error,
		.descriptor = -1,
	};

	if (asker->error != EBUSY)
		strcpy(message.text, reloads->text);
	return channel_send(channel, &message);
}

int reloads_answer(struct reloads *reloads, struct clients *clients, int channel)
{
	for (size_t i = 0; i < reloads->count;) {
		struct reloads_asker *asker = &reloads->askers[i];
		if (asker->state != RELOADS_TOLD) {
			i++;
			continue;
		}
		int error = answer(reloads, asker, channel);
		if (error)
			return error;
		clients_expect(clients, asker->client, 0);
		take_out(reloads, i);
	}
	return 0;
}

void reloads_transfer(struct reloads *reloads, struct state *state)
{
	size_t count = reloads->count;

	state_integer(state, reloads->signalled);
	state_text(state, reloads->text, sizeof(reloads->text));
	state_integer(state, count);
	for (size_t i = 0; i < count && !state->error; i++) {
		struct reloads_asker asker = {0};
		if (!state->reads)
			asker = reloads->askers[i];
		state_integer(state, asker.client);
		state_integer(state, asker.id);
		state_integer(state, asker.state);
		state_integer(state, asker.error);
		if (state->reads && !state->error)
			state->error = add(reloads, &asker);
	}
}

void reloads_free(struct reloads *reloads)
{
	free(reloads->askers);
}
