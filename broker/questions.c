/* SPDX-License-Identifier: MIT */
#include "questions.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* One that is waited for. On the stack of the thread that asks. */
struct question {
	struct question *next;
	uint32_t id;
	bool answered;
	struct channel_message *message;
};

struct questions {
	int socket;
	pthread_mutex_t mutex;
	pthread_cond_t answer; /* some question has its answer, or the maker is gone */
	struct question *open;
	uint32_t last_id;
	bool served; /* another thread hears */
	int error;   /* the maker is gone */
	void (*told)(void *context, const struct channel_message *message);
	void *context;
	/* While questions_ask_all asks: how many have been asked, with the ids from 1 on, and not been answered. */
	uint32_t all, unanswered;
	void (*taken)(void *context, uint32_t i, struct channel_message *message);
	void *taken_context;
	struct channel_message heard; /* the hearing thread's */
};

struct questions *questions_new(int socket)
{
	struct questions *questions = calloc(1, sizeof(*questions));
	pthread_condattr_t attributes;

	if (!questions)
		return NULL;
	questions->socket = socket;
	pthread_mutex_init(&questions->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&questions->answer, &attributes);
	pthread_condattr_destroy(&attributes);
	return questions;
}

void questions_free(struct questions *questions)
{
	if (!questions)
		return;
	pthread_cond_destroy(&questions->answer);
	pthread_mutex_destroy(&questions->mutex);
	close(questions->socket);
	free(questions);
}

void questions_told(struct questions *questions,
	void (*told)(void *context, const struct channel_message *message), void *context)
{
	questions->told = told;
	questions->context = context;
}

int questions_first(struct questions *questions)
{
	struct channel_message *message = &questions->heard;
	int got = channel_receive(questions->socket, message);

	if (got <= 0)
		return got ? got : -ECONNRESET;
	return message->type == CHANNEL_WATCH && message->descriptor >= 0 ? message->descriptor
									  : -EPROTO;
}

int questions_tell(struct questions *questions, struct channel_message *message)
{
	message->id = 0;
	return channel_send(questions->socket, message);
}

/* The question of that id, taken out of the list; NULL where nobody waits for it any more. */
static struct question *take(struct questions *questions, uint32_t id)
{
	for (struct question **at = &questions->open; *at; at = &(*at)->next) {
		struct question *found = *at;
		if (found->id == id) {
			*at = found->next;
			return found;
		}
	}
	return NULL;
}

/* Hands one message to whoever it is for. */
static void deliver(struct questions *questions, struct channel_message *message)
{
	if (message->id && message->id <= questions->all) {
		questions->unanswered--;
		questions->taken(questions->taken_context, message->id - 1, message);
		return;
	}
	pthread_mutex_lock(&questions->mutex);
	struct question *question = message->id ? take(questions, message->id) : NULL;
	if (question) {
		*question->message = *message;
		question->answered = true;
		message->descriptor = -1;
		pthread_cond_broadcast(&questions->answer);
	}
	pthread_mutex_unlock(&questions->mutex);
	if (!question && questions->told)
		questions->told(questions->context, message);
	if (message->descriptor >= 0)
		close(message->descriptor);
}

static void give_up(struct questions *questions, int error)
{
	pthread_mutex_lock(&questions->mutex);
	questions->error = error;
	pthread_cond_broadcast(&questions->answer);
	pthread_mutex_unlock(&questions->mutex);
}

int questions_hear(struct questions *questions)
{
	struct pollfd source = {.fd = questions->socket, .events = POLLIN};

	while (poll(&source, 1, 0) > 0) {
		int got = channel_receive(questions->socket, &questions->heard);
		if (got <= 0) {
			give_up(questions, got ? got : -ECONNRESET);
			return questions->error;
		}
		deliver(questions, &questions->heard);
	}
	return 0;
}

void questions_serve(struct questions *questions)
{
	questions->served = true;
}

int questions_descriptor(const struct questions *questions)
{
	return questions->socket;
}

/* For a worker that loads, which is one thread. */
static void hear_alone(struct questions *questions, const struct question *question, int ms)
{
	struct pollfd source = {.fd = questions->socket, .events = POLLIN};
	int64_t end = clock_ms() + ms;

	while (!question->answered && !questions->error) {
		int64_t left = end - clock_ms();
		if (left <= 0)
			return;
		if (poll(&source, 1, (int)left) > 0)
			questions_hear(questions);
	}
}

static void wait_for(struct questions *questions, const struct question *question, int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&questions->mutex);
	while (!question->answered && !questions->error)
		if (pthread_cond_timedwait(&questions->answer, &questions->mutex, &end))
			break;
	pthread_mutex_unlock(&questions->mutex);
}

int questions_ask_all(struct questions *questions, uint32_t count,
	void (*fill)(void *context, uint32_t i, struct channel_message *message),
	void (*taken)(void *context, uint32_t i, struct channel_message *message), void *context,
	int ms)
{
	struct channel_message message;
	int64_t end = clock_ms() + ms;
	int error = 0;

	questions->taken = taken;
	questions->taken_context = context;
	while (!error && (questions->all < count || questions->unanswered)) {
		bool more = questions->all < count;
		struct pollfd source = {
			.fd = questions->socket,
			.events = more ? POLLIN | POLLOUT : POLLIN,
		};
		int64_t left = end - clock_ms();
		if (left <= 0)
			break;
		/* Never waits to be heard while there is something to hear: the maker may wait likewise. */
		if (poll(&source, 1, (int)left) <= 0)
			continue;
		end = clock_ms() + ms;
		if (source.revents & ~POLLOUT) {
			error = questions_hear(questions);
			continue;
		}
		fill(context, questions->all, &message);
		message.id = ++questions->all;
		questions->unanswered++;
		error = channel_send(questions->socket, &message);
	}
	/* A maker that does not even hear is none. */
	if (!error && questions->all < count)
		error = -ETIMEDOUT;
	questions->last_id = questions->all;
	questions->all = questions->unanswered = 0;
	return error;
}

int questions_ask(struct questions *questions, struct channel_message *message, int ms)
{
	struct question question = {.message = message};

	pthread_mutex_lock(&questions->mutex);
	if (++questions->last_id == 0)
		questions->last_id = 1;
	question.id = message->id = questions->last_id;
	question.next = questions->open;
	questions->open = &question;
	pthread_mutex_unlock(&questions->mutex);

	int error = channel_send(questions->socket, message);
	if (!error && questions->served)
		wait_for(questions, &question, ms);
	else if (!error)
		hear_alone(questions, &question, ms);

	pthread_mutex_lock(&questions->mutex);
	take(questions, question.id);
	if (!error && !question.answered)
		error = questions->error ? questions->error : -ETIMEDOUT;
	pthread_mutex_unlock(&questions->mutex);
	if (error)
		message->descriptor = -1;
	return error;
}
