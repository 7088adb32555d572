/* SPDX-License-Identifier: MIT */
/* The real views-made.c in a worker that asks for views as if they were for uid 5001, whoever has asked it. */
#include "questions.h"

static struct channel_message *lie(struct channel_message *message)
{
	if (message->type == CHANNEL_RENEW) {
		message->uid = message->gid = 5001;
		message->map.uid = message->map.gid = 5001;
	}
	return message;
}

#define questions_ask(questions, message, ms) questions_ask(questions, lie(message), ms)
#include "../../broker/views-made.c"
