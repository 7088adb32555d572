/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes. What runs there has a few paths and a part of a directory on its stack. */
#define STACK_SIZE 262144

/* Ends a wait in a system call: it has a handler that does nothing. None that anybody sends to all processes of the
 * daemon (SIGUSR1). */
#define STOP_SIGNAL SIGRTMIN

/* One thread. */
struct lane_slot {
	pthread_t thread;
	struct job *job; /* NULL: it waits for one */
	uid_t uid;	 /* of that job */
	uint32_t directory;
	bool all;
	struct operations *operations;
	struct lane *lane;
};

struct lane {
	const struct service *service;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct job *first, **last; /* in line */
	struct lane_slot *slots[LANE_THREADS_MAX];
	unsigned int waiting, running, threads;
};

static void stop(int signal)
{
	(void)signal;
}

struct lane *lane_new(const struct service *service)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART */

	if (!lane)
		return NULL;
	lane->service = service;
	lane->last = &lane->first;
	pthread_mutex_init(&lane->mutex, NULL);
	pthread_cond_init(&lane->work, NULL);
	sigaction(STOP_SIGNAL, &action, NULL);
	return lane;
}

/* ---- which job is next, with the lock --------------------------------------------------------- */

static bool may_run(const struct lane *lane, const struct job *job)
{
	unsigned int same_uid = 0, same_directory = 0;

	for (unsigned int i = 0; i < lane->threads; i++) {
		const struct lane_slot *slot = lane->slots[i];
		if (!slot->job)
			continue;
		same_uid += slot->uid == job->peer->uid;
		same_directory += job->all && slot->all && slot->directory == job->directory;
	}
	return same_uid < LANE_UID_MAX && same_directory < LANE_DIRECTORY_MAX;
}

static struct job *take_next(struct lane *lane)
{
	for (struct job **at = &lane->first; *at; at = &(*at)->next) {
		struct job *job = *at;
		if (!may_run(lane, job))
			continue;
		*at = job->next;
		if (!*at)
			lane->last = at;
		lane->waiting--;
		return job;
	}
	return NULL;
}

static void put_in_line(struct lane *lane, struct job *job)
{
	job->next = NULL;
	job->slot = NULL;
	*lane->last = job;
	lane->last = &job->next;
	lane->waiting++;
}

/* ---- doing it --------------------------------------------------------------------------------- */

static void drop_reply(struct job *job)
{
	if (job->reply.descriptor >= 0)
		close(job->reply.descriptor);
	job->reply = (struct reply){.error = ENOMEM, .descriptor = -1};
}

/* What the operation has said lives until the thread's next one. */
static void keep_data(struct job *job)
{
	char *data;

	if (!job->reply.data_length)
		return;
	data = malloc(job->reply.data_length);
	if (data)
		memcpy(data, job->reply.data, job->reply.data_length);
	else
		drop_reply(job);
	job->reply.data = data;
}

/* Does the job with as much patience as it takes so far. True: it is done. False: it takes all. */
static bool run(struct lane_slot *slot, struct job *job)
{
	struct operations *operations = slot->operations;
	const struct service *service = slot->lane->service;

	if (job->settles) {
		job->reply.error = (uint32_t)-peer_identify(
			job->socket, service->policy, service->questions, job->peer);
		return true;
	}
	operations_patience(operations, job->all ? PATIENCE_ALL : PATIENCE_DISK, &job->cancelled);
	operations_client(operations, job->client, job->deadline);
	operations_run(operations, job->peer, job->stranger, &job->request, &job->reply);
	if (job->reply.deferred) {
		job->directory = job->reply.directory;
		return false;
	}
	keep_data(job);
	return true;
}

static void *work(void *context)
{
	struct lane_slot *slot = context;
	struct lane *lane = slot->lane;
	sigset_t stop_signal;

	sigemptyset(&stop_signal);
	sigaddset(&stop_signal, STOP_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &stop_signal, NULL);
	pthread_mutex_lock(&lane->mutex);
	for (;;) {
		struct job *job = take_next(lane);
		if (!job) {
			pthread_cond_wait(&lane->work, &lane->mutex);
			continue;
		}
		slot->job = job;
		slot->uid = job->peer->uid;
		slot->directory = job->directory;
		slot->all = job->all;
		job->slot = slot;
		lane->running++;
		pthread_mutex_unlock(&lane->mutex);
		bool done = run(slot, job);
		pthread_mutex_lock(&lane->mutex);
		slot->job = NULL;
		lane->running--;
		/* A place has become free, perhaps for one that another thread could not take. */
		if (lane->waiting)
			pthread_cond_signal(&lane->work);
		if (!done && !job->cancelled) {
			job->all = true;
			put_in_line(lane, job);
			continue;
		}
		job->slot = NULL;
		pthread_mutex_unlock(&lane->mutex);
		job->done(job);
		pthread_mutex_lock(&lane->mutex);
	}
	return NULL;
}

/* One thread more. Without memory for it, those that there are have to do. */
static void add_thread(struct lane *lane)
{
	struct lane_slot *slot = calloc(1, sizeof(*slot));
	pthread_attr_t attributes;

	if (!slot)
		return;
	slot->lane = lane;
	slot->operations = operations_new(lane->service);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (slot->operations && pthread_create(&slot->thread, &attributes, work, slot) == 0) {
		lane->slots[lane->threads++] = slot;
	} else {
		operations_free(slot->operations);
		free(slot);
	}
	pthread_attr_destroy(&attributes);
}

void lane_submit(struct lane *lane, struct job *job)
{
	pthread_mutex_lock(&lane->mutex);
	put_in_line(lane, job);
	if (lane->running + lane->waiting > lane->threads && lane->threads < LANE_THREADS_MAX)
		add_thread(lane);
	pthread_cond_signal(&lane->work);
	pthread_mutex_unlock(&lane->mutex);
}

bool lane_withdraw(struct lane *lane, struct job *job)
{
	bool withdrawn = false;

	pthread_mutex_lock(&lane->mutex);
	job->cancelled = true;
	if (job->slot) {
		pthread_kill(job->slot->thread, STOP_SIGNAL);
	} else {
		for (struct job **at = &lane->first; *at; at = &(*at)->next) {
			if (*at != job)
				continue;
			*at = job->next;
			if (!*at)
				lane->last = at;
			lane->waiting--;
			withdrawn = true;
			break;
		}
	}
	pthread_mutex_unlock(&lane->mutex);
	return withdrawn;
}

void lane_state(struct lane *lane, struct lane_state *state)
{
	pthread_mutex_lock(&lane->mutex);
	*state = (struct lane_state){
		.waiting = lane->waiting,
		.running = lane->running,
		.threads = lane->threads,
	};
	for (unsigned int i = 0; i < lane->threads; i++)
		state->stuck += lane->slots[i]->job && lane->slots[i]->job->cancelled;
	pthread_mutex_unlock(&lane->mutex);
}
