/* SPDX-License-Identifier: MIT */
/*
 * questions.h: the worker's end of its conversation with the maker. Any thread may ask and wait; one thread hears,
 * and hands each answer to whoever asked. Nobody waits for ever: what the maker does may hang on a file system.
 */
#ifndef BROKER_QUESTIONS_H
#define BROKER_QUESTIONS_H

#include "channel.h"

struct questions;

/*
 * Over `socket`, which it then owns. What the maker says unasked, or too late, goes to `told`, in the thread that
 * hears; its descriptor, if any, is closed afterwards. NULL where memory is short.
 */
struct questions *questions_new(int socket);
void questions_free(struct questions *questions);
void questions_told(struct questions *questions,
	void (*told)(void *context, const struct channel_message *message), void *context);

/* What the maker says first (WATCH): the descriptor, the caller's, or a negative errno. */
int questions_first(struct questions *questions);

/* Says what has no answer. 0 or a negative errno: the maker is gone. */
int questions_tell(struct questions *questions, struct channel_message *message);

/*
 * Asks and waits for the answer, which is put in the place of `message`; its descriptor is the caller's. 0;
 * -ETIMEDOUT after `ms` milliseconds (the answer, if it ever comes, is dropped); or another negative errno: the
 * maker is gone.
 */
int questions_ask(struct questions *questions, struct channel_message *message, int ms);

/* ms to wait for what is usually done at once, and may take long where the machine is busy. */
#define QUESTIONS_TIME 5000
/* Likewise where somebody is served although it hangs: while loading, when all are asked together, and for what a client
 * runs: until that is known he is not served, and told ETIMEDOUT. */
#define QUESTIONS_SHORT_TIME 2000

/*
 * For a worker that loads: asks `count` questions, numbered from 0, without waiting for each answer. Question `i` is
 * put together by fill; taken tells of its answer, whose descriptor is the callee's. Ends when all are answered, or
 * none was for `ms` milliseconds: then the answers to the others, if they ever come, are dropped. 0, or a negative
 * errno: the maker is gone.
 */
int questions_ask_all(struct questions *questions, uint32_t count,
	void (*fill)(void *context, uint32_t i, struct channel_message *message),
	void (*taken)(void *context, uint32_t i, struct channel_message *message), void *context,
	int ms);

/*
 * From now on it is another thread that hears, by calling questions_hear whenever the descriptor is readable; before,
 * who asks hears for himself. questions_hear reads all that is there. 0, or a negative errno: the maker is gone.
 */
void questions_serve(struct questions *questions);
int questions_descriptor(const struct questions *questions);
int questions_hear(struct questions *questions);

#endif
