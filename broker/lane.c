/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include "clock.h"

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

/* ms after which a close(2) counts as stuck. */
#define CLOSE_TIME 1000

/* One thread. */
struct lane_slot {
	pthread_t thread;
	struct job *job; /* NULL: it waits for one */
	uid_t uid;	 /* of that job */
	uint32_t directory;
	bool all;
	int64_t since; /* ms */
	struct operations *operations;
	struct lane *lane;
};

struct lane {
	const struct service *service;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct job *first; /* in line: the first one of each uid, by turns */
	struct lane_slot *slots[LANE_THREADS_MAX];
	unsigned int waiting, running, threads, idle, coming;
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
	pthread_mutex_init(&lane->mutex, NULL);
	pthread_cond_init(&lane->work, NULL);
	sigaction(STOP_SIGNAL, &action, NULL);
	return lane;
}

/* ---- the line, with the lock ------------------------------------------------------------------- */

static void put_in_line(struct lane *lane, struct job *job)
{
	struct job **at = &lane->first;

	job->next = job->next_uid = NULL;
	job->last = job;
	job->slot = NULL;
	lane->waiting++;
	while (*at && (*at)->uid != job->uid)
		at = &(*at)->next_uid;
	if (*at) {
		(*at)->last->next = job;
		(*at)->last = job;
	} else {
		*at = job;
	}
}

/* Takes out a job of the uid whose first one is *at: the one behind `before`, or the first. */
static struct job *take_out(struct lane *lane, struct job **at, struct job *before)
{
	struct job *first = *at, *job = before ? before->next : first;

	lane->waiting--;
	if (before) {
		before->next = job->next;
		if (first->last == job)
			first->last = before;
	} else if (first->next) {
		first->next->last = first->last;
		first->next->next_uid = first->next_uid;
		*at = first->next;
	} else {
		*at = first->next_uid;
	}
	return job;
}

/* The uid whose first job is *at has had its turn. */
static void to_the_end(struct job **at)
{
	struct job *first = *at;

	*at = first->next_uid;
	first->next_uid = NULL;
	while (*at)
		at = &(*at)->next_uid;
	*at = first;
}

/* ---- which job is next, with the lock --------------------------------------------------------- */

/* What takes no more jobs that may take for ever. */
struct crowd {
	bool all;
	unsigned int count;
	uint32_t directories[LANE_THREADS_MAX / LANE_DIRECTORY_MAX];
};

static unsigned int count_uid(const struct lane *lane, uid_t uid)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < lane->threads; i++)
		count += lane->slots[i]->job && lane->slots[i]->uid == uid;
	return count;
}

static unsigned int count_directory(const struct lane *lane, uint32_t directory)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < lane->threads; i++) {
		const struct lane_slot *slot = lane->slots[i];
		count += slot->job && slot->all && slot->directory == directory;
	}
	return count;
}

static bool has(const struct crowd *crowd, uint32_t directory)
{
	for (unsigned int i = 0; i < crowd->count; i++)
		if (crowd->directories[i] == directory)
			return true;
	return false;
}

static void look_around(const struct lane *lane, struct crowd *crowd)
{
	unsigned int endless = 0;

	crowd->count = 0;
	for (unsigned int i = 0; i < lane->threads; i++) {
		const struct lane_slot *slot = lane->slots[i];
		if (!slot->job || !slot->all)
			continue;
		endless++;
		if (!has(crowd, slot->directory) &&
			count_directory(lane, slot->directory) >= LANE_DIRECTORY_MAX)
			crowd->directories[crowd->count++] = slot->directory;
	}
	crowd->all = endless >= LANE_ENDLESS_MAX;
}

/* The next job is the one behind *before (NULL: the first) of the uid whose first one is **at. False: there is none. */
static bool find_next(struct lane *lane, struct job ***at, struct job **before)
{
	struct crowd crowd;

	if (!lane->waiting)
		return false;
	look_around(lane, &crowd);
	for (*at = &lane->first; **at; *at = &(**at)->next_uid) {
		if (count_uid(lane, (**at)->uid) >= LANE_UID_MAX)
			continue;
		*before = NULL;
		for (struct job *job = **at; job; *before = job, job = job->next)
			if (!job->all || (!crowd.all && !has(&crowd, job->directory)))
				return true;
	}
	return false;
}

static struct job *take_next(struct lane *lane)
{
	struct job **at, *before;

	if (!find_next(lane, &at, &before))
		return NULL;
	struct job *job = take_out(lane, at, before);
	if (*at && (*at)->uid == job->uid)
		to_the_end(at);
	return job;
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
	char *data = job->reply.data_length ? malloc(job->reply.data_length) : NULL;

	if (data)
		memcpy(data, job->reply.data, job->reply.data_length);
	else if (job->reply.data_length)
		drop_reply(job);
	/* Freed with the job, whatever it was before. */
	job->reply.data = data;
}

/* Does the job with as much patience as it takes so far. True: it is done. False: it takes all. */
static bool run(struct lane_slot *slot, struct job *job)
{
	struct operations *operations = slot->operations;
	const struct service *service = slot->lane->service;

	if (job->closes) {
		close(job->reply.descriptor);
		return true;
	}
	if (job->settles) {
		job->reply.error = (uint32_t)-peer_identify(
			job->socket, job->number, service->policy, service->questions, job->peer);
		return true;
	}
	operations_patience(operations, job->all ? PATIENCE_ALL : PATIENCE_DISK, &job->cancelled);
	operations_client(operations, job->client, job->number, job->deadline);
	operations_run(operations, job->peer, job->stranger, &job->request, &job->reply);
	if (job->reply.deferred) {
		job->directory = job->reply.directory;
		return false;
	}
	keep_data(job);
	if (job->cancelled && job->reply.descriptor >= 0) {
		close(job->reply.descriptor);
		job->reply.descriptor = -1;
	}
	return true;
}

static void *work(void *context);

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
		lane->coming++;
	} else {
		operations_free(slot->operations);
		free(slot);
	}
	pthread_attr_destroy(&attributes);
}

/*
 * Sees to it that the next job, if there is one that can be done now, has a thread: an idle one, one that is
 * just coming (each looks at the line, and calls this in its turn), or a new one. With the lock.
 */
static void wake(struct lane *lane)
{
	struct job **at, *before;

	if (!find_next(lane, &at, &before))
		return;
	if (lane->idle)
		pthread_cond_signal(&lane->work);
	else if (!lane->coming && lane->threads < LANE_THREADS_MAX)
		add_thread(lane);
}

/* Gives the thread its next job; waits for one. With the lock. */
static struct job *next_job(struct lane_slot *slot)
{
	struct lane *lane = slot->lane;
	struct job *job;

	while (!(job = take_next(lane))) {
		lane->idle++;
		pthread_cond_wait(&lane->work, &lane->mutex);
		lane->idle--;
	}
	slot->job = job;
	slot->uid = job->uid;
	slot->directory = job->directory;
	slot->all = job->all;
	slot->since = clock_ms();
	job->slot = slot;
	lane->running++;
	wake(lane);
	return job;
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
	lane->coming--;
	for (;;) {
		struct job *job = next_job(slot);
		pthread_mutex_unlock(&lane->mutex);
		bool done = run(slot, job);
		pthread_mutex_lock(&lane->mutex);
		slot->job = NULL;
		job->slot = NULL;
		lane->running--;
		if (!done && !job->cancelled) {
			job->all = true;
			put_in_line(lane, job);
		} else {
			/* Places have become free: for one that this thread takes, and for another. */
			pthread_mutex_unlock(&lane->mutex);
			if (job->closes)
				free(job);
			else
				job->done(job);
			pthread_mutex_lock(&lane->mutex);
		}
		wake(lane);
	}
	return NULL;
}

static void submit(struct lane *lane, struct job *job)
{
	pthread_mutex_lock(&lane->mutex);
	put_in_line(lane, job);
	wake(lane);
	pthread_mutex_unlock(&lane->mutex);
}

void lane_submit(struct lane *lane, struct job *job)
{
	job->uid = job->peer->uid;
	submit(lane, job);
}

/* Takes the job out of the line. False: it is not there. */
static bool leave_line(struct lane *lane, const struct job *wanted)
{
	struct job **at = &lane->first, *before = NULL;

	while (*at && (*at)->uid != wanted->uid)
		at = &(*at)->next_uid;
	for (struct job *job = *at; job; before = job, job = job->next) {
		if (job != wanted)
			continue;
		take_out(lane, at, before);
		return true;
	}
	return false;
}

bool lane_withdraw(struct lane *lane, struct job *job)
{
	bool withdrawn = false;

	pthread_mutex_lock(&lane->mutex);
	job->cancelled = true;
	if (job->slot)
		pthread_kill(job->slot->thread, STOP_SIGNAL);
	else
		withdrawn = leave_line(lane, job);
	pthread_mutex_unlock(&lane->mutex);
	return withdrawn;
}

void lane_close(struct lane *lane, struct job *job)
{
	free((char *)(uintptr_t)job->reply.data);
	job->reply.data = NULL;
	if (job->reply.descriptor >= 0 && job->all) {
		job->closes = true;
		job->cancelled = false;
		submit(lane, job);
		return;
	}
	if (job->reply.descriptor >= 0)
		close(job->reply.descriptor);
	free(job);
}

void lane_state(struct lane *lane, struct lane_state *state)
{
	int64_t now = clock_ms();

	pthread_mutex_lock(&lane->mutex);
	*state = (struct lane_state){
		.waiting = lane->waiting,
		.running = lane->running,
		.threads = lane->threads,
	};
	for (unsigned int i = 0; i < lane->threads; i++) {
		const struct lane_slot *slot = lane->slots[i];
		if (slot->job)
			state->stuck += slot->job->cancelled ||
					(slot->job->closes && now - slot->since > CLOSE_TIME);
	}
	pthread_mutex_unlock(&lane->mutex);
}
