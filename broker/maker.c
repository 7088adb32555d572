/* SPDX-License-Identifier: MIT */
#include "maker.h"

#include "audit.h"
#include "behalf.h"
#include "channel.h"
#include "clock.h"
#include "confine.h"
#include "making.h"
#include "policy.h"
#include "questions.h"
#include "report.h"
#include "settle.h"
#include "syscalls.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Questions of each kind that are worked on at once: what hangs must not take the threads of what does not. */
enum kind { KIND_VIEW, KIND_DEVICE, KIND_IDENTIFY, KIND_BEHALF };
static const unsigned int most[] = {
	[KIND_VIEW] = 40,
	[KIND_DEVICE] = 8,
	[KIND_IDENTIFY] = 16,
	[KIND_BEHALF] = 48,
};
#define THREADS_MAX 112
/* And of those about views that lie on one mount, about devices beneath one view. */
#define PLACE_MAX 4
/* Bytes. What runs there has a few paths on its stack. */
#define STACK_SIZE 262144

struct job {
	struct job *next;
	enum kind kind;
	uint64_t place;
	int64_t since; /* ms: when it was asked for */
	struct channel_message message;
};

struct maker {
	int channel;
	_Atomic bool loading; /* the worker may still name what it will ask for */
	_Atomic uint32_t
		needs; /* what its policy calls for (policy/privileges.h): all, while it loads */
	struct making *making;
	struct settle_exes exes; /* its list is constant once the worker has loaded */
	struct behalf *behalf;
	int vouched;	       /* vouch.h */
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t work;
	struct job *first, **last; /* in line */
	const struct job *running[THREADS_MAX];
	unsigned int idle, threads, begun;
};

/* The worker is not itself, or there is no memory. Other threads may hang for ever: nothing is tidied up. */
static _Noreturn void end(void)
{
	_exit(1);
}

/* The worker is gone: there is nothing more to do, and nothing to be told of (supervisor.c). */
static _Noreturn void end_behind_worker(void)
{
	_exit(0);
}

/* This thread takes no more privileges than the policy calls for. */
static void narrow(const struct maker *maker)
{
	static _Thread_local uint32_t had = PRIVILEGE_EVERYTHING;
	const uint32_t needs = maker->needs;

	if (had != needs && confine_maker(needs))
		end();
	had = needs;
}

static void answer(struct maker *maker, struct channel_message *message)
{
	int error = channel_send(maker->channel, message);

	if (error == -EPIPE || error == -ECONNRESET)
		end_behind_worker();
	if (error)
		end();
	if (message->descriptor >= 0)
		close(message->descriptor);
}

/* Whether it is to be done as a client. */
static bool is_on_behalf(const struct channel_message *message)
{
	return message->type == CHANNEL_CONNECT || message->type == CHANNEL_BIND ||
	       message->type == CHANNEL_NOTIFY;
}

/* What is done in a caller's name says how long that may take. What it has waited in line counts. */
static uint32_t time_left(const struct channel_message *message, int64_t since)
{
	int64_t left = since + message->endpoint.time - clock_ms();

	return left > 0 ? (uint32_t)left : 0;
}

static void do_job(struct maker *maker, struct channel_message *message, int64_t since)
{
	int error;

	if (is_on_behalf(message)) {
		message->endpoint.time = time_left(message, since);
		error = behalf_answer(maker->behalf, message);
	} else if (message->type == CHANNEL_IDENTIFY) {
		error = settle_answer(&maker->exes, maker->vouched, message);
	} else {
		error = making_answer(maker->making, message);
	}
	if (error)
		end();
	answer(maker, message);
}

/* ---- the line, with the lock ------------------------------------------------------------------ */

static bool may_run(const struct maker *maker, const struct job *job)
{
	unsigned int kind = 0, place = 0;

	for (unsigned int i = 0; i < maker->threads; i++) {
		const struct job *other = maker->running[i];
		if (!other || other->kind != job->kind)
			continue;
		kind++;
		place += (job->kind == KIND_VIEW || job->kind == KIND_DEVICE) &&
			 other->place == job->place;
		/* It hangs: one thread that does is enough. */
		if (job->kind == KIND_VIEW && other->message.index == job->message.index)
			return false;
	}
	return kind < most[job->kind] && place < PLACE_MAX;
}

static struct job *take_out(struct maker *maker, struct job **at)
{
	struct job *job = *at;

	*at = job->next;
	if (!*at)
		maker->last = at;
	return job;
}

static void forget(struct job *job)
{
	if (job->message.descriptor >= 0)
		close(job->message.descriptor);
	if (job->message.object > 0)
		close(job->message.object);
	free(job);
}

/* Whether the worker does not wait for the answer any more. */
static bool is_over(const struct job *job)
{
	return job->kind == KIND_BEHALF ? !time_left(&job->message, job->since)
					: job->since < clock_ms() - QUESTIONS_TIME;
}

static void drop_old(struct maker *maker)
{
	while (!maker->loading && maker->first && is_over(maker->first))
		forget(take_out(maker, &maker->first));
}

static struct job **find_next(struct maker *maker)
{
	struct job **at = &maker->first;

	while (*at && !may_run(maker, *at))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static void *work(void *context);

static void add_thread(struct maker *maker)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	maker->threads += pthread_create(&thread, &attributes, work, maker) == 0;
	pthread_attr_destroy(&attributes);
}

/* Sees to it that the next question, if there is one that can be worked on now, has a thread. */
static void wake(struct maker *maker)
{
	if (!find_next(maker))
		return;
	if (maker->idle)
		pthread_cond_signal(&maker->work);
	else if (maker->begun == maker->threads && maker->threads < THREADS_MAX)
		add_thread(maker);
}

/* ---- the threads ------------------------------------------------------------------------------ */

static void *work(void *context)
{
	struct maker *maker = context;

	pthread_mutex_lock(&maker->mutex);
	const struct job **own = &maker->running[maker->begun++];
	for (;;) {
		struct job **next;
		while (narrow(maker), drop_old(maker), !(next = find_next(maker))) {
			maker->idle++;
			pthread_cond_wait(&maker->work, &maker->mutex);
			maker->idle--;
		}
		struct job *job = take_out(maker, next);
		*own = job;
		wake(maker);
		pthread_mutex_unlock(&maker->mutex);
		struct channel_message message = job->message;
		do_job(maker, &message, job->since);
		pthread_mutex_lock(&maker->mutex);
		*own = NULL;
		free(job);
		wake(maker);
	}
	return NULL;
}

/* Gives the question to the threads. 0 or -ENOMEM. */
static int give(struct maker *maker, const struct channel_message *message)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->next = NULL;
	job->message = *message;
	job->since = clock_ms();
	job->kind = message->type == CHANNEL_DEVICE	? KIND_DEVICE
		    : message->type == CHANNEL_IDENTIFY ? KIND_IDENTIFY
		    : is_on_behalf(message)		? KIND_BEHALF
							: KIND_VIEW;
	/* Where a caller's own directory lies is not known yet: those by one template are often on one mount. */
	job->place = message->type == CHANNEL_CALLERS ? ~(uint64_t)message->attributes
		     : job->kind == KIND_VIEW	      ? making_place(maker->making, message->index)
						      : message->index;
	pthread_mutex_lock(&maker->mutex);
	drop_old(maker);
	*maker->last = job;
	maker->last = &job->next;
	wake(maker);
	pthread_mutex_unlock(&maker->mutex);
	return 0;
}

/* ---- narrowing -------------------------------------------------------------------------------- */

/*
 * The worker has loaded. System calls are given up for all threads at once, capabilities by each, before whatever it does
 * next: the kernel knows no other way.
 */
static int settle_down(struct maker *maker, uint32_t needs)
{
	const struct syscalls_confinement confinement = {
		.process = PRIVILEGE_MAKER,
		.rights = needs & ~(uint32_t)PRIVILEGE_LOADING,
		.again = true,
	};
	unsigned int count;

	maker->needs = confinement.rights;
	maker->loading = false;
	narrow(maker);
	pthread_mutex_lock(&maker->mutex);
	pthread_cond_broadcast(&maker->work);
	pthread_mutex_unlock(&maker->mutex);
	return syscalls_confine(&confinement, &count);
}

/* ---- hearing ---------------------------------------------------------------------------------- */

/* Whether this is something that a worker may say now. */
static bool is_proper(const struct maker *maker, const struct channel_message *message)
{
	if (message->object && message->type != CHANNEL_NOTIFY)
		return false;
	switch (message->type) {
	case CHANNEL_VIEW:
	case CHANNEL_TEMPLATE:
	case CHANNEL_USER:
	case CHANNEL_EXE:
	case CHANNEL_SOCKET:
	case CHANNEL_LOADED:
		return maker->loading && message->descriptor < 0;
	case CHANNEL_CALLERS:
		return !maker->loading && message->descriptor < 0;
	case CHANNEL_RENEW:
		return message->descriptor < 0;
	case CHANNEL_DEVICE:
		return message->descriptor < 0 && (maker->needs & PRIVILEGE_DEVICE);
	case CHANNEL_IDENTIFY:
		return message->descriptor >= 0 && (maker->needs & PRIVILEGE_IDENTIFY);
	case CHANNEL_CONNECT:
		return message->descriptor >= 0 && (maker->needs & POLICY_CONNECT);
	case CHANNEL_BIND:
		return message->descriptor >= 0 && (maker->needs & POLICY_BIND);
	case CHANNEL_NOTIFY:
		return message->descriptor >= 0 && (maker->needs & POLICY_WATCH);
	}
	return false;
}

static void hear(struct maker *maker)
{
	static struct channel_message message;
	int error = 0;

	message.descriptor = -1;
	int got = channel_receive(maker->channel, &message);
	if (got == 0)
		end_behind_worker();
	if (got != 1 || !is_proper(maker, &message))
		end();
	switch (message.type) {
	case CHANNEL_LOADED:
		if (settle_down(maker, message.attributes))
			end();
		return;
	case CHANNEL_EXE:
		error = settle_remember(&maker->exes, &message);
		break;
	case CHANNEL_SOCKET:
		error = behalf_name(maker->behalf, &message);
		break;
	case CHANNEL_VIEW:
	case CHANNEL_TEMPLATE:
	case CHANNEL_USER:
		error = making_name(maker->making, &message);
		break;
	}
	if (error)
		end();
	/* Without memory nobody makes views, and another maker has to. */
	if (message.type != CHANNEL_EXE && message.type != CHANNEL_USER &&
		message.type != CHANNEL_SOCKET && give(maker, &message))
		end();
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
	struct channel_message message = {.descriptor = -1};

	/* The supervisor's word: there is no worker yet. */
	if (channel_receive(maker->channel, &message) != 1 || message.type != CHANNEL_START ||
		message.descriptor < 0)
		return -EPROTO;
	maker->vouched = message.descriptor;
	maker->making = making_new(!options->require_views);
	if (!maker->making)
		return -errno;
	maker->behalf = behalf_new(maker->vouched, making_users(maker->making));
	if (!maker->behalf)
		return -ENOMEM;
	message = (struct channel_message){
		.type = CHANNEL_WATCH,
		.descriptor = making_inotify(maker->making),
	};
	return channel_send(maker->channel, &message);
}

/* Before there are threads. */
static int confine(void)
{
	struct syscalls_confinement confinement = {
		.process = PRIVILEGE_MAKER,
		.rights = PRIVILEGE_EVERYTHING,
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
	maker.needs = PRIVILEGE_EVERYTHING;
	maker.last = &maker.first;
	settle_init(&maker.exes);
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
