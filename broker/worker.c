/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "audit.h"
#include "channel.h"
#include "clock.h"
#include "destination.h"
#include "load.h"
#include "loop.h"
#include "policy.h"
#include "questions.h"
#include "report.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ms that what cannot be asked for again has to end when another worker takes over. */
#define HANDOVER_TIME 300
/* Event threads. */
#define THREADS_MAX 4

/* An address that clients connect to. */
struct address {
	struct address *next;
	char text[];
};

/* What the first thread has besides its connections. */
struct worker {
	const struct options *options;
	int channel, log;
	struct questions *questions;
	struct loaded loaded;
	_Atomic size_t connections;
	struct statistics_set statistics;
	struct service service;
	struct house house;
	pthread_t threads[THREADS_MAX];
	struct loop_source supervisor, maker;
	struct address *addresses; /* those that have been heard of */
	bool stop;		   /* it has been told to, or nobody is there to tell it */
	bool handover;		   /* another worker goes on */
	pid_t sentinel;
	sem_t guarded;
	bool unlogged; /* the record's new file did not fit in, and has not been given again */
	struct audit_line line;
	pthread_mutex_t views_mutex; /* of what any thread says of views: */
	struct audit_line views_line;
};

/* Of the lane. */
static size_t tell_more(void *context, char *text, size_t size)
{
	struct worker *worker = context;
	struct lane_state state;

	lane_state(worker->house.lane, &state);
	int length = snprintf(text, size,
		"lane_waiting %u\nlane_running %u\nlane_threads %u\nlane_stuck %u\n", state.waiting,
		state.running, state.threads, state.stuck);
	return (size_t)length < size ? (size_t)length : 0;
}

/* In any thread. */
static void view_failed(
	void *context, const char *path, const char *file, unsigned int place, int error)
{
	struct worker *worker = context;
	const struct record record = {
		.line = &worker->views_line,
		.log = worker->log,
		.sums = worker->service.sums,
	};

	pthread_mutex_lock(&worker->views_mutex);
	record_view(&record, path, file, place, error);
	pthread_mutex_unlock(&worker->views_mutex);
}

/* The supervisor's first words. 0, or 1 after a line on standard error; `snapshot` is -1 where there is none. */
static int hear_start(struct worker *worker, int *snapshot)
{
	struct channel_message message = {.descriptor = -1};

	if (channel_receive(worker->channel, &message) != 1 || message.type != CHANNEL_START ||
		message.descriptor < 0) {
		fprintf(stderr, "fdbrokerd: --worker is for the daemon itself\n");
		return 1;
	}
	snprintf(worker->service.started, sizeof(worker->service.started), "%.23s", message.text);
	worker->questions = questions_new(message.descriptor);
	if (!worker->questions)
		return report_failure("starting", -ENOMEM);
	*snapshot = -1;
	if (!message.attributes)
		return 0;
	if (channel_receive(worker->channel, &message) != 1 || message.type != CHANNEL_SNAPSHOT ||
		message.descriptor < 0)
		return report_failure("starting", -EPROTO);
	*snapshot = message.descriptor;
	return 0;
}

static int prepare(struct worker *worker)
{
	const struct options *options = worker->options;
	struct service *service = &worker->service;
	int snapshot;

	service->daemon_uid = geteuid();
	if (hear_start(worker, &snapshot))
		return 1;
	if (load_all(options, &worker->line, worker->log, worker->channel, worker->questions,
		    snapshot, &worker->loaded))
		return 1;
	struct snapshot_time time = snapshot_time(worker->loaded.snapshot);
	memcpy(service->loaded, time.stamp, sizeof(service->loaded));
	service->loaded_at = time.ms;
	service->policy = worker->loaded.policy;
	service->views = worker->loaded.views;
	service->questions = worker->questions;
	service->log = worker->log;
	service->log_grants = options->log_grants;
	service->sums = sums_new();
	if (!service->sums)
		return report_failure("starting", -ENOMEM);
	pthread_mutex_init(&worker->views_mutex, NULL);
	views_failed(service->views, view_failed, worker);
	service->policy_path = options->policy;
	service->connections = &worker->connections;
	statistics_begin(&worker->statistics);
	service->statistics = &worker->statistics;
	service->tell_more = tell_more;
	service->tell_context = worker;
	return 0;
}

/* ---- the supervisor --------------------------------------------------------------------------- */

/* The address, for as long as the worker lives; there are few. NULL where memory is short. */
static const char *keep_address(struct worker *worker, const char *text)
{
	struct address *address = worker->addresses;

	while (address && strcmp(address->text, text) != 0)
		address = address->next;
	if (!address) {
		address = malloc(sizeof(*address) + strlen(text) + 1);
		if (!address)
			return NULL;
		strcpy(address->text, text);
		address->next = worker->addresses;
		worker->addresses = address;
	}
	return address->text;
}

/* The loop that has the client of that number. */
static struct loop *loop_of(struct worker *worker, uint32_t client)
{
	return worker->house.loops[client % worker->house.loop_count];
}

/* Out of descriptors or memory: those who are connected go on, this one waits with the supervisor. */
static int give_back(struct worker *worker, uint32_t client, int error)
{
	struct channel_message message = {
		.type = CHANNEL_BACK,
		.index = client,
		.descriptor = -1,
	};

	loop_crowded(worker->house.loops[0], error);
	return channel_send(worker->channel, &message) ? -1 : 0;
}

static void record_log(struct worker *worker, const char *reason, int error)
{
	struct audit_line *line = &worker->line;

	audit_begin(line, worker->log, "log");
	if (error)
		audit_string(line, "verdict", "error");
	audit_string(line, "reason", reason);
	if (error)
		audit_errno(line, -error);
	audit_end(line);
}

/* The record's new file did not fit in: it goes on where it was, until the supervisor has given it again. */
static int miss_log(struct worker *worker, int error)
{
	struct channel_message again = {.type = CHANNEL_LOG, .descriptor = -1};

	if (!worker->unlogged)
		record_log(worker, "it goes on where it was, until there is a descriptor", error);
	worker->unlogged = true;
	return channel_send(worker->channel, &again) ? -1 : 0;
}

static void take_log(struct worker *worker, int fresh)
{
	destination_replace(worker->log, fresh);
	if (worker->unlogged)
		record_log(worker, "opened anew, late", 0);
	worker->unlogged = false;
}

static int take_client(struct worker *worker, const struct channel_message *message)
{
	struct arrival arrival = {
		.socket = message->descriptor,
		.via = keep_address(worker, message->text),
		.client = message->index,
		.taken_over = message->attributes,
		.reload = message->id,
	};

	if (arrival.via && !loop_take(loop_of(worker, arrival.client), &arrival))
		return 0;
	close(message->descriptor);
	return give_back(worker, message->index, -ENOMEM);
}

/* 0, or -1: the end, which costs the clients their connections only where `stop` is set. */
static int hear_supervisor(void *context, struct loop_source *source, uint32_t events)
{
	struct worker *worker = context;
	struct channel_message message = {.descriptor = -1};
	int got = channel_receive(source->descriptor, &message);

	(void)events;
	if (got == -EMFILE && message.type == CHANNEL_CLIENT)
		return give_back(worker, message.index, got);
	if (got == -EMFILE && message.type == CHANNEL_LOG)
		return miss_log(worker, got);
	worker->stop = got == 0;
	if (got != 1)
		return -1;
	if (message.type == CHANNEL_LOG && message.descriptor >= 0) {
		take_log(worker, message.descriptor);
		return 0;
	}
	if (message.type == CHANNEL_PING && message.descriptor < 0) {
		message.type = CHANNEL_PONG;
		return channel_send(source->descriptor, &message) ? -1 : 0;
	}
	if (message.type == CHANNEL_CLIENT && message.descriptor >= 0)
		return take_client(worker, &message);
	if (message.descriptor >= 0)
		close(message.descriptor);
	if (message.type == CHANNEL_RELOADED)
		return loop_reloaded(loop_of(worker, message.index), message.index, message.id,
			       message.error, message.text)
			       ? -1
			       : 0;
	worker->handover = message.type == CHANNEL_HANDOVER;
	worker->stop = message.type == CHANNEL_STOP;
	return -1;
}

static int hear_maker(void *context, struct loop_source *source, uint32_t events)
{
	struct worker *worker = context;
	struct channel_message orphaned = {.type = CHANNEL_ORPHANED, .descriptor = -1};

	(void)source;
	(void)events;
	if (!questions_hear(worker->questions))
		return 0;
	channel_send(worker->channel, &orphaned);
	return -1;
}

/* ---- the threads ------------------------------------------------------------------------------ */

static void *run_loop(void *context)
{
	loop_run(context);
	return NULL;
}

static unsigned int count_threads(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores) < 0)
		return 1;
	int count = CPU_COUNT(&cores);
	return count > THREADS_MAX ? THREADS_MAX : (unsigned int)count;
}

static int make_house(struct worker *worker)
{
	struct house *house = &worker->house;
	unsigned int count = count_threads();
	struct policy_summary summary;

	house->service = &worker->service;
	house->open_timeout = worker->options->open_timeout;
	house->channel = worker->channel;
	policy_summarize(worker->loaded.policy, &summary);
	house->accounts = accounts_new(summary.subjects);
	house->lane = lane_new(&worker->service);
	if (!house->accounts || !house->lane)
		return -ENOMEM;
	while (house->loop_count < count) {
		struct loop *loop = loop_new(house);
		if (!loop)
			return -ENOMEM;
		house->loops[house->loop_count++] = loop;
	}
	worker->supervisor = (struct loop_source){
		.descriptor = worker->channel,
		.ready = hear_supervisor,
		.context = worker,
	};
	worker->maker = (struct loop_source){
		.descriptor = questions_descriptor(worker->questions),
		.ready = hear_maker,
		.context = worker,
	};
	int error = loop_watch(house->loops[0], &worker->supervisor);
	return error ? error : loop_watch(house->loops[0], &worker->maker);
}

/* The first loop is this thread's. Without a thread for each of the others there are fewer. */
static void start_threads(struct worker *worker)
{
	struct house *house = &worker->house;

	for (unsigned int i = 1; i < house->loop_count; i++) {
		if (pthread_create(&worker->threads[i], NULL, run_loop, house->loops[i]) == 0)
			continue;
		while (house->loop_count > i)
			loop_free(house->loops[--house->loop_count]);
	}
}

/* Does nothing but end with the process, for the supervisor to see (crew.h). */
static void *stand_guard(void *context)
{
	struct worker *worker = context;

	worker->sentinel = gettid();
	sem_post(&worker->guarded);
	for (;;)
		pause();
	return NULL;
}

/* Its thread id; 0 where there is none: then the end of this process may be noticed late. */
static pid_t start_sentinel(struct worker *worker)
{
	pthread_t thread;

	sem_init(&worker->guarded, 0, 0);
	if (pthread_create(&thread, NULL, stand_guard, worker))
		return 0;
	pthread_detach(thread);
	while (sem_wait(&worker->guarded) < 0)
		;
	return worker->sentinel;
}

static int start_serving(struct worker *worker)
{
	struct channel_message message = {.type = CHANNEL_READY, .descriptor = -1};
	struct policy_summary summary;
	int error = make_house(worker);

	if (!error) {
		questions_serve(worker->questions);
		start_threads(worker);
		message.index = (uint32_t)start_sentinel(worker);
		policy_summarize(worker->loaded.policy, &summary);
		snprintf(message.text, sizeof(message.text), "%zu subjects, %zu rules, %zu views",
			summary.subjects, summary.rules, views_count(worker->loaded.views));
		message.descriptor = snapshot_finish(worker->loaded.snapshot);
		error = message.descriptor < 0 ? message.descriptor
					       : channel_send(worker->channel, &message);
		snapshot_free(worker->loaded.snapshot);
		worker->loaded.snapshot = NULL;
	}
	return error ? report_failure("starting to serve", error) : 0;
}

/* Ends the loops but the first, which is this thread's and has ended. */
static void join_threads(struct worker *worker)
{
	struct house *house = &worker->house;

	for (unsigned int i = 1; i < house->loop_count; i++)
		loop_stop(house->loops[i]);
	for (unsigned int i = 1; i < house->loop_count; i++)
		pthread_join(worker->threads[i], NULL);
}

/* Records what has been counted and not been told yet. */
static void tell_sums(struct worker *worker)
{
	const struct record record = {
		.line = &worker->line,
		.log = worker->log,
		.sums = worker->service.sums,
	};

	record_due(&record, INT64_MAX);
}

/* Nothing more is begun, and what cannot be asked for again has a moment to end; then another worker goes on. */
static void hand_over(struct worker *worker)
{
	struct house *house = &worker->house;

	join_threads(worker);
	/* One time for all of them: the supervisor does not wait longer for more threads. */
	int64_t end = clock_ms() + HANDOVER_TIME;
	for (unsigned int i = 0; i < house->loop_count; i++)
		loop_finish(house->loops[i], end);
	tell_sums(worker);
}

/*
 * The threads of the lane may hang for ever, in what they do with all the rest: so of that nothing is freed, and the
 * process ends. What the clients have been sent reaches them all the same.
 */
static void end_serving(struct worker *worker)
{
	struct house *house = &worker->house;

	join_threads(worker);
	for (unsigned int i = 0; i < house->loop_count; i++)
		loop_free(house->loops[i]);
	tell_sums(worker);
}

int worker_run(const struct options *options, int log)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return report_failure("starting", -ENOMEM);
	worker->options = options;
	worker->channel = options->worker;
	worker->log = log;
	/* The process ends, and what has been loaded with it. */
	if (prepare(worker) || start_serving(worker))
		_exit(1);
	loop_run(worker->house.loops[0]);
	if (worker->handover)
		hand_over(worker);
	else if (worker->stop)
		end_serving(worker);
	/* Else it cannot go on, but another one can, with the connections as they are. Not by way of exit(3), which
	 * would meet threads that hang with what they use. */
	_exit(!worker->handover && !worker->stop);
}
