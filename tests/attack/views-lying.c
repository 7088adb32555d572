/* SPDX-License-Identifier: MIT */
/* The real views.c in a worker that asks for views as if they were for uid 5001, whoever has asked it. */
#include "channel.h"

static const struct channel_message *lie(const struct channel_message *message)
{
	static struct channel_message told;

	told = *message;
	if (told.type == CHANNEL_RENEW) {
		told.map.uid = 5001;
		told.map.gid = 5001;
	}
	return &told;
}

#define channel_send(channel, message) channel_send(channel, lie(message))
#include "../../broker/views.c"
