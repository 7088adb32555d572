/* SPDX-License-Identifier: MIT */
#include "maker.h"

#include "audit.h"
#include "channel.h"
#include "confine.h"
#include "making.h"
#include "report.h"
#include "settle.h"
#include "syscalls.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Questions that are worked on at once; a question beyond that is answered with ETIMEDOUT. */
#define THREADS_MAX 64
/* Bytes. What runs there has a few paths on its stack. */
#define STACK_SIZE 262144

struct job {
	struct job *next;
	struct channel_message message;
};

struct maker {
	int channel;
	bool loading; /* the worker may still name what it will ask for */
	struct making *making;
	struct settle_exes exes; /* constant once the worker has loaded */
	pthread_mutex_t mutex;	 /* of what follows */
	pthread_cond_t work;
	struct job *first, **last; /* to do */
	unsigned int waiting, idle, threads;
};

/* The worker is gone, or is not itself. Other threads may hang for ever: nothing is tidied up. */
static _Noreturn void end(void)
{
	_exit(1);
}

static void answer(struct maker *maker, struct channel_message *message)
{
	if (channel_send(maker->channel, message))
		end();
	if (message->descriptor >= 0)
		close(message->descriptor);
}

static void do_job(struct maker *maker, struct channel_message *message)
{
	int error;

	if (message->type == CHANNEL_IDENTIFY)
		error = settle_answer(&maker->exes, message);
	else
		error = making_answer(maker->making, message);
	if (error)
		end();
	answer(maker, message);
}

static void *work(void *context)
{
	struct maker *maker = context;

	pthread_mutex_lock(&maker->mutex);
	for (;;) {
		maker->idle++;
		while (!maker->first)
			pthread_cond_wait(&maker->work, &maker->mutex);
		maker->idle--;
		struct job *job = maker->first;
		maker->first = job->next;
		if (!maker->first)
			maker->last = &maker->first;
		maker->waiting--;
		pthread_mutex_unlock(&maker->mutex);
		do_job(maker, &job->message);
		free(job);
		pthread_mutex_lock(&maker->mutex);
	}
	return NULL;
}

static bool add_thread(struct maker *maker)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	bool added = pthread_create(&thread, &attributes, work, maker) == 0;
	pthread_attr_destroy(&attributes);
	maker->threads += added;
	return added;
}

/* Gives the question to a thread. False where all of them hang. */
static bool give(struct maker *maker, const struct channel_message *message)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return false;
	job->next = NULL;
	job->message = *message;
	pthread_mutex_lock(&maker->mutex);
	bool room =
		maker->idle > maker->waiting || (maker->threads < THREADS_MAX && add_thread(maker));
	if (room) {
		*maker->last = job;
		maker->last = &job->next;
		maker->waiting++;
		pthread_cond_signal(&maker->work);
	}
	pthread_mutex_unlock(&maker->mutex);
	if (!room)
		free(job);
	return room;
}

/* Whether this is something that a worker may say now. */
static bool is_proper(const struct maker *maker, const struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_VIEW:
	case CHANNEL_TEMPLATE:
	case CHANNEL_USER:
	case CHANNEL_EXE:
	case CHANNEL_LOADED:
		return maker->loading && message->descriptor < 0;
	case CHANNEL_CALLERS:
		return !maker->loading && message->descriptor < 0;
	case CHANNEL_RENEW:
	case CHANNEL_DEVICE:
		return message->descriptor < 0;
	case CHANNEL_IDENTIFY:
		return message->descriptor >= 0;
	}
	return false;
}

static void hear(struct maker *maker)
{
	static struct channel_message message;
	int error = 0;

	message.descriptor = -1;
	if (channel_receive(maker->channel, &message) != 1 || !is_proper(maker, &message))
		end();
	switch (message.type) {
	case CHANNEL_LOADED:
		maker->loading = false;
		return;
	case CHANNEL_EXE:
		error = settle_remember(&maker->exes, &message);
		break;
	case CHANNEL_VIEW:
	case CHANNEL_TEMPLATE:
	case CHANNEL_USER:
		error = making_name(maker->making, &message);
		break;
	}
	if (error)
		end();
	if (message.type == CHANNEL_EXE || message.type == CHANNEL_USER || give(maker, &message))
		return;
	if (message.descriptor >= 0)
		close(message.descriptor);
	message.descriptor = -1;
	message.error = ETIMEDOUT;
	message.attributes = 0;
	message.text[0] = '\0';
	if (message.type != CHANNEL_IDENTIFY)
		message.type = CHANNEL_VIEW;
	answer(maker, &message);
}

static void tell_stale(void *context, uint32_t index)
{
	struct maker *maker = context;
	struct channel_message message = {
		.type = CHANNEL_STALE,
		.index = index,
		.descriptor = -1,
	};

	answer(maker, &message);
}

static int start(struct maker *maker, const struct options *options)
{
	struct channel_message message = {.type = CHANNEL_WATCH};

	maker->making = making_new(!options->require_views);
	if (!maker->making)
		return -errno;
	message.descriptor = making_inotify(maker->making);
	return channel_send(maker->channel, &message);
}

/* Before there are threads. */
static int confine(void)
{
	struct syscalls_confinement confinement = {
		.process = PRIVILEGE_MAKER,
		.log = audit_open(
			STDERR_FILENO), /* it has no record: who started the daemon sees this */
	};
	unsigned int count;
	int error = confinement.log < 0 ? -errno : confine_capable(PRIVILEGE_MAKER);

	return error ? error : syscalls_confine(&confinement, &count);
}

int maker_run(const struct options *options, int channel)
{
	static struct maker maker;

	maker.channel = channel;
	maker.loading = true;
	maker.last = &maker.first;
	pthread_mutex_init(&maker.mutex, NULL);
	pthread_cond_init(&maker.work, NULL);
	int error = confine();
	if (!error)
		error = start(&maker, options);
	if (error)
		return report_failure("starting", error);
	for (;;) {
		struct pollfd sources[] = {
			{.fd = channel, .events = POLLIN},
			{.fd = making_mounts_descriptor(maker.making), .events = POLLPRI},
		};
		if (poll(sources, 2, -1) < 0)
			continue;
		if (sources[1].revents)
			making_mounts(maker.making, tell_stale, &maker);
		if (sources[0].revents)
			hear(&maker);
	}
}
