/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "audit.h"
#include "channel.h"
#include "clock.h"
#include "load.h"
#include "loop.h"
#include "policy.h"
#include "questions.h"
#include "report.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ms without accepting when there is no room for another connection. */
#define ACCEPT_PAUSE 100
/* Connections accepted before the others get their turn. */
#define ACCEPT_BURST 16
/* Event threads. */
#define THREADS_MAX 4

struct listening {
	struct loop_source source;
	struct worker *worker;
	char address[sizeof(((struct channel_message *)NULL)->text)];
};

/* What the first thread has besides its connections. */
struct worker {
	const struct options *options;
	int channel, log;
	struct questions *questions;
	struct loaded loaded;
	struct counters counters;
	struct service service;
	struct house house;
	pthread_t threads[THREADS_MAX];
	struct loop_source supervisor, maker;
	struct listening *listening[OPTIONS_ADDRESSES_MAX];
	unsigned int listening_count;
	unsigned int next; /* the loop that gets the next connection */
	bool paused;	   /* not accepting for a moment */
	bool broken;	   /* it cannot go on */
	struct audit_line line;
};

static int prepare(struct worker *worker)
{
	const struct options *options = worker->options;
	struct service *service = &worker->service;
	struct channel_message message = {.descriptor = -1};

	if (channel_receive(worker->channel, &message) != 1 || message.type != CHANNEL_START ||
		message.descriptor < 0) {
		fprintf(stderr, "fdbrokerd: --worker is for the daemon itself\n");
		return 1;
	}
	snprintf(service->started, sizeof(service->started), "%.23s", message.text);
	service->daemon_uid = geteuid();
	worker->questions = questions_new(message.descriptor);
	if (!worker->questions)
		return report_failure("starting", -ENOMEM);
	if (load_all(options, &worker->line, worker->log, worker->questions, &worker->loaded))
		return 1;
	clock_stamp(service->loaded);
	service->policy = worker->loaded.policy;
	service->views = worker->loaded.views;
	service->questions = worker->questions;
	service->log = worker->log;
	service->policy_path = options->policy;
	service->counters = &worker->counters;
	return 0;
}

/* ---- accepting -------------------------------------------------------------------------------- */

static void watch_listening(struct worker *worker, bool on)
{
	for (unsigned int i = 0; i < worker->listening_count; i++)
		if (on)
			loop_watch(worker->house.loops[0], &worker->listening[i]->source);
		else
			loop_unwatch(worker->house.loops[0], &worker->listening[i]->source);
}

static void accept_again(void *context)
{
	struct worker *worker = context;

	worker->paused = false;
	watch_listening(worker, true);
}

/* Out of descriptors or memory: those who are connected go on, the others wait in the backlog. */
static void pause_accepting(struct worker *worker, int error)
{
	struct audit_line *line = &worker->line;

	audit_begin(line, worker->log, "accept");
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", "no room for another connection");
	audit_number(line, "connections", (int64_t)worker->counters.connections);
	audit_errno(line, -error);
	audit_end(line);
	watch_listening(worker, false);
	worker->paused = true;
	loop_later(worker->house.loops[0], ACCEPT_PAUSE, accept_again, worker);
}

/* 0, or a negative errno: there is no more to accept for now. */
static int accept_one(struct worker *worker, const struct listening *listening)
{
	int socket =
		accept4(listening->source.descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int error = socket < 0 ? -errno : 0;

	if (!error) {
		struct loop *loop = worker->house.loops[worker->next++ % worker->house.loop_count];
		error = loop_take(loop, socket, listening->address);
	}
	switch (-error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(worker, error);
		return error;
	case EAGAIN:
		return error;
	}
	/* That one is gone; the next may not be. */
	return 0;
}

static int hear_clients(void *context, struct loop_source *source, uint32_t events)
{
	struct listening *listening = context;
	struct worker *worker = listening->worker;

	(void)source;
	/* A listening socket that hangs up was shut down: a new worker gets another. */
	if (events & (EPOLLHUP | EPOLLERR)) {
		worker->broken = true;
		return -1;
	}
	for (int i = 0; i < ACCEPT_BURST && !worker->paused; i++)
		if (accept_one(worker, listening))
			break;
	return 0;
}

/* ---- hearing ---------------------------------------------------------------------------------- */

static int add_listening(struct worker *worker, const struct channel_message *message)
{
	struct listening *listening = malloc(sizeof(*listening));

	if (!listening || worker->listening_count == OPTIONS_ADDRESSES_MAX) {
		free(listening);
		close(message->descriptor);
		return -1;
	}
	listening->worker = worker;
	listening->source = (struct loop_source){
		.descriptor = message->descriptor,
		.ready = hear_clients,
		.context = listening,
	};
	snprintf(listening->address, sizeof(listening->address), "%s", message->text);
	worker->listening[worker->listening_count++] = listening;
	return loop_watch(worker->house.loops[0], &listening->source);
}

/* 0, or -1: the end. */
static int hear_supervisor(void *context, struct loop_source *source, uint32_t events)
{
	struct worker *worker = context;
	struct channel_message message = {.descriptor = -1};

	(void)events;
	if (channel_receive(source->descriptor, &message) != 1)
		return -1;
	if (message.type != CHANNEL_LISTENER || message.descriptor < 0)
		return -1;
	return add_listening(worker, &message) ? -1 : 0;
}

static int hear_maker(void *context, struct loop_source *source, uint32_t events)
{
	struct worker *worker = context;

	(void)source;
	(void)events;
	if (!questions_hear(worker->questions))
		return 0;
	worker->broken = true;
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

static int start_serving(struct worker *worker)
{
	struct channel_message message = {.type = CHANNEL_READY, .descriptor = -1};
	struct policy_summary summary;
	int error = make_house(worker);

	if (!error) {
		questions_serve(worker->questions);
		start_threads(worker);
		policy_summarize(worker->loaded.policy, &summary);
		snprintf(message.text, sizeof(message.text), "%zu subjects, %zu rules, %zu views",
			summary.subjects, summary.rules, views_count(worker->loaded.views));
		error = channel_send(worker->channel, &message);
	}
	return error ? report_failure("starting to serve", error) : 0;
}

/*
 * The threads of the lane may hang for ever, in what they do with all the rest: so of that nothing is freed, and the
 * process ends. What the clients have been sent reaches them all the same.
 */
static void end_serving(struct worker *worker)
{
	struct house *house = &worker->house;

	for (unsigned int i = 1; i < house->loop_count; i++)
		loop_stop(house->loops[i]);
	for (unsigned int i = 1; i < house->loop_count; i++)
		pthread_join(worker->threads[i], NULL);
	for (unsigned int i = 0; i < house->loop_count; i++)
		loop_free(house->loops[i]);
}

int worker_run(const struct options *options, int log)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return report_failure("starting", -ENOMEM);
	worker->options = options;
	worker->channel = options->worker;
	worker->log = log;
	if (prepare(worker) || start_serving(worker))
		return 1;
	loop_run(worker->house.loops[0]);
	end_serving(worker);
	return worker->broken;
}
