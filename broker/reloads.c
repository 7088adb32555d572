/* SPDX-License-Identifier: MIT */
#include "reloads.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void reloads_signal(struct reloads *reloads)
{
	reloads->signalled = true;
}

void reloads_ask(struct reloads *reloads, uint32_t client, uint32_t id)
{
	struct reloads_asker asker = {.client = client, .id = id, .state = RELOADS_WAITS};

	for (size_t i = 0; i < RELOADS_MAX; i++) {
		if (reloads->askers[i].state == RELOADS_FREE) {
			reloads->askers[i] = asker;
			return;
		}
	}
	asker.state = RELOADS_TOLD;
	asker.error = EBUSY;
	reloads->refused = asker;
}

bool reloads_wanted(const struct reloads *reloads)
{
	bool wanted = reloads->signalled;

	for (size_t i = 0; i < RELOADS_MAX; i++)
		wanted = wanted || reloads->askers[i].state == RELOADS_WAITS;
	return wanted;
}

void reloads_begin(struct reloads *reloads)
{
	reloads->signalled = false;
	for (size_t i = 0; i < RELOADS_MAX; i++)
		if (reloads->askers[i].state == RELOADS_WAITS)
			reloads->askers[i].state = RELOADS_UNDER_WAY;
}

void reloads_end(struct reloads *reloads, int error, const char *text)
{
	snprintf(reloads->text, sizeof(reloads->text), "%s", text);
	for (size_t i = 0; i < RELOADS_MAX; i++) {
		if (reloads->askers[i].state != RELOADS_UNDER_WAY)
			continue;
		reloads->askers[i].state = RELOADS_TOLD;
		reloads->askers[i].error = error;
	}
}

static int answer(const struct reloads *reloads, struct reloads_asker *asker,
	struct clients *clients, int channel)
{
	struct channel_message message = {
		.type = CHANNEL_RELOADED,
		.index = asker->client,
		.id = asker->id,
		.error = asker->error,
		.descriptor = -1,
	};

	if (asker->state != RELOADS_TOLD)
		return 0;
	if (asker->error != EBUSY)
		strcpy(message.text, reloads->text);
	int error = channel_send(channel, &message);
	if (error)
		return error;
	asker->state = RELOADS_FREE;
	clients_expect(clients, asker->client, 0);
	return 0;
}

int reloads_answer(struct reloads *reloads, struct clients *clients, int channel)
{
	int error = answer(reloads, &reloads->refused, clients, channel);

	for (size_t i = 0; i < RELOADS_MAX && !error; i++)
		error = answer(reloads, &reloads->askers[i], clients, channel);
	return error;
}
