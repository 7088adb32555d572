/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "audit.h"
#include "channel.h"
#include "clock.h"
#include "connection.h"
#include "destination.h"
#include "load.h"
#include "operations.h"
#include "policy.h"
#include "quota.h"
#include "report.h"
#include "views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ms. A connection that matches no subject has nothing to wait for here. */
#define STRANGER_IDLE 2000
/* ms without accepting when there is no room for another connection. */
#define ACCEPT_PAUSE 100
/* Connections accepted, and events fetched, before the others get their turn. */
#define ACCEPT_BURST 16
#define EVENTS_MAX   64

struct listening {
	int socket;
	char address[sizeof(((struct channel_message *)NULL)->text)];
};

struct worker {
	const struct options *options;
	int channel, questions, log, epoll;
	struct loaded loaded;
	struct listening *listening[OPTIONS_ADDRESSES_MAX];
	unsigned int listening_count;
	bool broken; /* it cannot go on */
	bool paused; /* not accepting until `resume` */
	int64_t resume;
	struct connection known, strangers; /* heads of circular lists; strangers by `expires` */
	struct quota *quota;
	uid_t full; /* whose connections were refused last, so that it is recorded once */
	struct operations operations;
	struct statistics statistics;
	struct audit_line line;
};

static int prepare(struct worker *worker)
{
	const struct options *options = worker->options;
	struct operations *operations = &worker->operations;
	struct channel_message message = {.descriptor = -1}, watch = {.descriptor = -1};

	if (channel_receive(worker->channel, &message) != 1 || message.type != CHANNEL_START ||
		message.descriptor < 0) {
		fprintf(stderr, "fdbrokerd: --worker is for the daemon itself\n");
		return 1;
	}
	snprintf(operations->started, sizeof(operations->started), "%.23s", message.text);
	operations->daemon_uid = geteuid();
	worker->questions = message.descriptor;
	if (channel_receive(worker->channel, &watch) != 1 || watch.type != CHANNEL_WATCH ||
		watch.descriptor < 0)
		return report_failure("starting", -EPROTO);
	if (load_all(options, &worker->line, worker->log, worker->questions, watch.descriptor,
		    &worker->loaded))
		return 1;
	clock_stamp(operations->loaded);
	operations->resolver = (struct resolver){
		.policy = worker->loaded.policy,
		.scratch = worker->loaded.scratch,
		.views = worker->loaded.views,
		.denies = policy_has_denies(worker->loaded.policy),
	};
	operations->loaded_at = clock_ms();
	operations->record.line = &worker->line;
	operations->record.log = worker->log;
	operations->record.grants = options->log_grants;
	operations->statistics = &worker->statistics;
	operations->all_statistics = &worker->statistics;
	operations->policy_path = options->policy;
	return 0;
}

/* ---- serving ----------------------------------------------------------------------------------
 */

static void list_add(struct connection *head, struct connection *connection)
{
	connection->previous = head->previous;
	connection->next = head;
	head->previous->next = connection;
	head->previous = connection;
}

static void list_remove(struct connection *connection)
{
	connection->previous->next = connection->next;
	connection->next->previous = connection->previous;
}

/* A stranger that has just been heard of goes to the end of the line of those that wait to be
 * closed. */
static void list_stranger(struct worker *worker, struct connection *connection)
{
	connection->expires = clock_ms() + STRANGER_IDLE;
	list_add(&worker->strangers, connection);
}

static void drop(struct worker *worker, struct connection *connection)
{
	list_remove(connection);
	if (worker->full == connection->peer.uid)
		worker->full = (uid_t)-1;
	quota_give_back(worker->quota, connection->peer.uid);
	connection_free(connection);
	worker->operations.connections--;
}

static int watch(struct worker *worker, int how, int descriptor, void *pointer)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = pointer};

	return epoll_ctl(worker->epoll, how, descriptor, &event) < 0 ? -errno : 0;
}

static void watch_listening(struct worker *worker, int how)
{
	for (unsigned int i = 0; i < worker->listening_count; i++)
		watch(worker, how, worker->listening[i]->socket, &worker->listening[i]);
}

/* Out of descriptors or memory: those who are connected go on, the others wait in the backlog. */
static void pause_accepting(struct worker *worker, int error)
{
	audit_begin(&worker->line, worker->log, "accept");
	audit_string(&worker->line, "verdict", "error");
	audit_string(&worker->line, "reason", "no room for another connection");
	audit_number(&worker->line, "connections", (int64_t)worker->operations.connections);
	audit_errno(&worker->line, -error);
	audit_end(&worker->line);
	watch_listening(worker, EPOLL_CTL_DEL);
	worker->paused = true;
	worker->resume = clock_ms() + ACCEPT_PAUSE;
}

/* Counts the connection against its uid. 0, -EDQUOT or -ENOMEM. */
static int take_quota(struct worker *worker, const struct connection *connection)
{
	const struct peer *peer = &connection->peer;
	struct policy_limits limits;

	policy_caller_limits(peer->caller, &limits);
	uint32_t most =
		limits.connections == POLICY_LIMIT_UNSAID ? QUOTA_CONNECTIONS : limits.connections;
	int error = quota_take(worker->quota, peer->uid, most);
	if (error == -EDQUOT)
		statistics_limit(&worker->statistics, STATISTICS_CONNECTIONS);
	if (error != -EDQUOT || worker->full == peer->uid)
		return error;
	worker->full = peer->uid;
	audit_begin(&worker->line, worker->log, "limit");
	audit_string(&worker->line, "verdict", "error");
	audit_number(&worker->line, "uid", peer->uid);
	audit_string(&worker->line, "reason", "too many connections of one uid");
	audit_number(&worker->line, "connections", most);
	audit_errno(&worker->line, EDQUOT);
	audit_end(&worker->line);
	return error;
}

static void accept_connections(struct worker *worker, const struct listening *listening)
{
	for (int i = 0; i < ACCEPT_BURST && !worker->paused; i++) {
		struct connection *connection;
		int socket = accept4(listening->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int error = socket < 0 ? -errno
				       : connection_new(socket, listening->address,
						 worker->loaded.policy, worker->questions,
						 worker->epoll, &connection);
		switch (-error) {
		case 0:
			break;
		case EAGAIN:
			return;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
		case ENOSPC: /* epoll's limit per user */
			pause_accepting(worker, error);
			return;
		default: /* that one is gone; the next may not be */
			continue;
		}
		error = take_quota(worker, connection);
		if (error) {
			connection_dismiss(connection, -error);
			connection_free(connection);
			continue;
		}
		worker->operations.connections++;
		statistics_accept(&worker->statistics);
		if (policy_caller_subjects(connection->peer.caller))
			list_add(&worker->known, connection);
		else
			list_stranger(worker, connection);
	}
}

/* 0, or -1: the end. */
static int hear_supervisor(struct worker *worker)
{
	struct channel_message message = {.descriptor = -1};

	if (channel_receive(worker->channel, &message) != 1)
		return -1;
	if (message.type == CHANNEL_STALE && message.descriptor < 0) {
		views_stale(worker->loaded.views, message.index);
		return 0;
	}
	if (message.type == CHANNEL_LOG && message.descriptor >= 0) {
		destination_replace(worker->log, message.descriptor);
		return 0;
	}
	if (message.type != CHANNEL_LISTENER || message.descriptor < 0)
		return -1;
	struct listening *listening = malloc(sizeof(*listening));
	if (!listening || worker->listening_count == OPTIONS_ADDRESSES_MAX) {
		free(listening);
		close(message.descriptor);
		return -1;
	}
	listening->socket = message.descriptor;
	snprintf(listening->address, sizeof(listening->address), "%s", message.text);
	worker->listening[worker->listening_count] = listening;
	return watch(worker, EPOLL_CTL_ADD, listening->socket,
		&worker->listening[worker->listening_count++]);
}

static void serve_connection(struct worker *worker, struct connection *connection, uint32_t events)
{
	int end = connection_ready(connection, events, worker->epoll, &worker->operations);

	if (end) {
		drop(worker, connection);
	} else if (connection->expires) {
		list_remove(connection);
		list_stranger(worker, connection);
	}
}

/* What is due by the clock. Returns in how many ms to come back, -1 for never. */
static int keep_time(struct worker *worker)
{
	struct connection *stranger = worker->strangers.next;
	int64_t due = -1;

	if (stranger == &worker->strangers && !worker->paused)
		return -1;
	int64_t now = clock_ms();
	if (worker->paused && worker->resume <= now) {
		worker->paused = false;
		watch_listening(worker, EPOLL_CTL_ADD);
	}
	while (stranger != &worker->strangers && stranger->expires <= now) {
		drop(worker, stranger);
		stranger = worker->strangers.next;
	}
	if (worker->paused)
		due = worker->resume;
	if (stranger != &worker->strangers && (due < 0 || stranger->expires < due))
		due = stranger->expires;
	return due < 0 ? -1 : (int)(due - now);
}

/* The same for all that is due. */
static int keep_times(struct worker *worker)
{
	int wait = keep_time(worker);
	const struct record *record = &worker->operations.record;
	int64_t due = sums_due(record->sums);

	if (due == INT64_MAX)
		return wait;
	int64_t now = clock_ms();
	due = record_due(record, now);
	if (due == INT64_MAX)
		return wait;
	return wait < 0 || due - now < wait ? (int)(due - now) : wait;
}

static void serve(struct worker *worker)
{
	struct epoll_event events[EVENTS_MAX];
	void *const first = worker->listening;
	void *const last = worker->listening + OPTIONS_ADDRESSES_MAX;

	while (!worker->broken) {
		int count = epoll_wait(worker->epoll, events, EVENTS_MAX, keep_times(worker));
		/* What has been replaced must not be served to a request that was sent afterwards. */
		bool changed = count == EVENTS_MAX; /* that it is not among them says nothing */
		for (int i = 0; i < count; i++)
			changed = changed || events[i].data.ptr == &worker->loaded.views;
		if (changed)
			views_changed(worker->loaded.views);
		for (int i = 0; i < count; i++) {
			void *source = events[i].data.ptr;
			if (source == &worker->loaded.views)
				continue;
			if (source == worker) {
				if (hear_supervisor(worker))
					return;
			} else if (source >= first && source < last) {
				/* A listening socket that hangs up was shut down: a new worker
				 * gets another. */
				if (events[i].events & (EPOLLHUP | EPOLLERR))
					worker->broken = true;
				else
					accept_connections(worker, *(struct listening **)source);
			} else {
				serve_connection(worker, source, events[i].events);
			}
		}
	}
}

static int start_serving(struct worker *worker)
{
	struct channel_message message = {.type = CHANNEL_READY, .descriptor = -1};
	struct policy_summary summary;
	int error = 0;

	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll < 0)
		error = -errno;
	if (!error)
		error = watch(worker, EPOLL_CTL_ADD, worker->channel, worker);
	if (!error)
		error = watch(worker, EPOLL_CTL_ADD, views_descriptor(worker->loaded.views),
			&worker->loaded.views);
	policy_summarize(worker->loaded.policy, &summary);
	snprintf(message.text, sizeof(message.text), "%zu subjects, %zu rules, %zu views",
		summary.subjects, summary.rules, views_count(worker->loaded.views));
	if (!error)
		error = channel_send(worker->channel, &message);
	return error ? report_failure("starting to serve", error) : 0;
}

/* The sockets to the supervisor stay open to the end: it kills a worker that closes one. */
static void release(struct worker *worker)
{
	record_due(&worker->operations.record, INT64_MAX);
	while (worker->known.next != &worker->known)
		drop(worker, worker->known.next);
	while (worker->strangers.next != &worker->strangers)
		drop(worker, worker->strangers.next);
	for (unsigned int i = 0; i < worker->listening_count; i++) {
		close(worker->listening[i]->socket);
		free(worker->listening[i]);
	}
	if (worker->epoll >= 0)
		close(worker->epoll);
	quota_free(worker->quota);
	sums_free(worker->operations.record.sums);
	load_release(&worker->loaded);
	free(worker);
}

int worker_run(const struct options *options, int log)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int status;

	if (!worker)
		return report_failure("starting", -ENOMEM);
	worker->options = options;
	worker->channel = options->worker;
	worker->log = log;
	worker->epoll = worker->questions = -1;
	worker->known.next = worker->known.previous = &worker->known;
	worker->strangers.next = worker->strangers.previous = &worker->strangers;
	worker->full = (uid_t)-1;
	worker->quota = quota_new();
	worker->operations.record.sums = sums_new();
	if (!worker->quota || !worker->operations.record.sums)
		return report_failure("starting", -ENOMEM);
	status = prepare(worker) || start_serving(worker);
	if (!status)
		serve(worker);
	if (worker->broken)
		status = 1;
	release(worker);
	return status;
}
