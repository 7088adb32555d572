/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include "clock.h"
#include "connection-list.h"
#include "views.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ms. A connection that matches no subject has nothing to wait for here. */
#define STRANGER_IDLE 2000
/* Connections of one uid about which it is found out at once who they are; those beyond are told EDQUOT. */
#define SETTLING_MAX 256
/* Events fetched before the clock is looked at. */
#define EVENTS_MAX 64

/* News for a client about the reload that it asked for. */
struct news {
	struct news *next;
	uint32_t client, id; /* of its request */
	int error;
	char text[];
};

struct loop {
	struct house *house;
	struct server server;
	struct loop_source views, wake;
	struct connection known, strangers; /* heads of circular lists; strangers by `expires` */
	struct news *held;		    /* for clients that are still found out about */
	bool end;
	pthread_mutex_t mutex; /* of what other threads have for this one: */
	struct arrival *arrivals, **last_arrival;
	struct job *done, **last_done; /* by `next` */
	struct news *news;
	bool stop;
};

/* ---- connections ------------------------------------------------------------------------------ */

/* A stranger that has just been heard of goes to the end of the line of those that are to be closed. */
static void list_stranger(struct loop *loop, struct connection *connection)
{
	connection->expires = clock_ms() + STRANGER_IDLE;
	list_add(&loop->strangers, connection);
}

static void keep_stranger(struct loop *loop, struct connection *connection)
{
	list_remove(connection);
	list_stranger(loop, connection);
}

/* As connection_expire calls it, too: `context` is the loop. */
static void drop(void *context, struct connection *connection)
{
	struct loop *loop = context;

	list_remove(connection);
	--*loop->house->service->connections;
	connection_close(connection, &loop->server);
}

/* Counts the connection against its uid and its subjects. 0, -EDQUOT or -ENOMEM. */
static int open_account(struct loop *loop, struct connection *connection)
{
	const struct peer *peer = &connection->peer;
	struct account_refusal refusal;
	int error = accounts_open(loop->house->accounts, peer->uid, peer->caller,
		connection->socket, clock_ns(), &connection->account, &refusal);

	if (error == -EDQUOT)
		operations_refused(loop->server.operations, peer, &refusal);
	if (!error && connection->taken_over)
		account_inherit(connection->account);
	return error;
}

/* Tells the client, known to the policy or not, or still found out about; or gone since. */
static void tell(struct loop *loop, struct news *news)
{
	struct connection *const heads[] = {&loop->known, &loop->strangers};

	for (size_t i = 0; i < 2; i++) {
		struct connection *connection = heads[i]->next;
		while (connection != heads[i] && connection->client != news->client)
			connection = connection->next;
		if (connection == heads[i])
			continue;
		if (connection_reloaded(
			    connection, &loop->server, news->id, news->error, news->text))
			drop(loop, connection);
		free(news);
		return;
	}
	if (!connection_settling(&loop->server, news->client)) {
		free(news);
		return;
	}
	news->next = loop->held;
	loop->held = news;
}

/* The client has been admitted. */
static void tell_held(struct loop *loop, const struct connection *connection)
{
	for (struct news **at = &loop->held; *at; at = &(*at)->next) {
		struct news *news = *at;
		if (news->client != connection->client)
			continue;
		*at = news->next;
		tell(loop, news);
		return;
	}
}

/* Its peer is known: it is served from now on. */
static void admit(struct loop *loop, struct connection *connection)
{
	int error = open_account(loop, connection);

	if (error) {
		if (error != -EDQUOT)
			operations_short(loop->server.operations, &connection->peer, NULL, error);
		connection_dismiss(connection, -error);
		connection_close(connection, &loop->server);
		return;
	}
	++*loop->house->service->connections;
	statistics_accept(&loop->server.operations->statistics);
	if (policy_caller_subjects(connection->peer.caller))
		list_add(&loop->known, connection);
	else
		list_stranger(loop, connection);
	if (connection_start(connection, &loop->server))
		drop(loop, connection);
	else if (connection->reload)
		tell_held(loop, connection);
}

void loop_crowded(struct loop *loop, int error)
{
	connection_crowded(&loop->server, error);
}

static void identify(struct loop *loop, const struct arrival *arrival)
{
	struct connection *connection =
		connection_new(arrival->socket, arrival->client, arrival->taken_over);
	const struct policy *policy = loop->house->service->policy;

	if (!connection) {
		connection_lack(&loop->server, arrival->socket, arrival->client, -ENOMEM);
		return;
	}
	connection->reload = arrival->reload;
	int error = peer_begin(arrival->socket, arrival->via, &connection->peer);
	if (!error && peer_takes_time(policy)) {
		_Atomic unsigned int *settling =
			&loop->house->settling[connection->peer.uid % SETTLING_HASH];
		error = *settling < SETTLING_MAX
				? connection_settle(connection, &loop->server, settling)
				: -EDQUOT;
		if (!error)
			return;
	} else if (!error) {
		error = peer_identify(
			arrival->socket, arrival->client, policy, NULL, &connection->peer);
	}
	if (error)
		connection_turn_away(connection, &loop->server, error);
	else
		admit(loop, connection);
}

/* ---- what other threads have for this one ------------------------------------------------------ */

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	/* It fails only where it has been woken already, more often than can be counted. */
	if (write(loop->wake.descriptor, &one, sizeof(one)) < 0)
		return;
}

int loop_take(struct loop *loop, const struct arrival *client)
{
	struct arrival *arrival = malloc(sizeof(*arrival));

	if (!arrival)
		return -ENOMEM;
	*arrival = *client;
	arrival->next = NULL;
	pthread_mutex_lock(&loop->mutex);
	bool first = !loop->arrivals;
	*loop->last_arrival = arrival;
	loop->last_arrival = &arrival->next;
	pthread_mutex_unlock(&loop->mutex);
	if (first)
		wake(loop);
	return 0;
}

int loop_reloaded(struct loop *loop, uint32_t client, uint32_t id, int error, const char *text)
{
	size_t size = strlen(text) + 1;
	struct news *news = malloc(sizeof(*news) + size);

	if (!news)
		return -ENOMEM;
	news->client = client;
	news->id = id;
	news->error = error;
	memcpy(news->text, text, size);
	pthread_mutex_lock(&loop->mutex);
	news->next = loop->news;
	loop->news = news;
	pthread_mutex_unlock(&loop->mutex);
	wake(loop);
	return 0;
}

/* In a thread of the lane. */
static void job_done(struct job *job)
{
	struct loop *loop = job->context;

	pthread_mutex_lock(&loop->mutex);
	bool first = !loop->done;
	job->next = NULL;
	*loop->last_done = job;
	loop->last_done = &job->next;
	pthread_mutex_unlock(&loop->mutex);
	if (first)
		wake(loop);
}

void loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->mutex);
	loop->stop = true;
	pthread_mutex_unlock(&loop->mutex);
	wake(loop);
}

/* A job of the lane, or the settling of a peer, has come to its end. */
static void finish(struct loop *loop, struct job *job)
{
	struct connection *connection = job->connection;
	bool settles = job->settles && !job->abandoned;
	int error = (int)job->reply.error;

	struct connection *ended = connection_finish(&loop->server, job);
	if (!settles) {
		if (ended)
			drop(loop, ended);
	} else if (error) {
		connection_turn_away(connection, &loop->server, -error);
	} else {
		admit(loop, connection);
	}
}

static int hear_threads(void *context, struct loop_source *source, uint32_t events)
{
	struct loop *loop = context;
	uint64_t count;

	(void)events;
	if (read(source->descriptor, &count, sizeof(count)) < 0)
		return 0;
	pthread_mutex_lock(&loop->mutex);
	struct arrival *arrivals = loop->arrivals;
	struct job *done = loop->done;
	struct news *news = loop->news;
	bool stop = loop->stop;
	loop->news = NULL;
	loop->arrivals = NULL;
	loop->last_arrival = &loop->arrivals;
	loop->done = NULL;
	loop->last_done = &loop->done;
	pthread_mutex_unlock(&loop->mutex);
	while (done) {
		struct job *job = done;
		done = job->next;
		finish(loop, job);
	}
	while (arrivals) {
		struct arrival *arrival = arrivals;
		arrivals = arrival->next;
		identify(loop, arrival);
		free(arrival);
	}
	while (news) {
		struct news *item = news;
		news = item->next;
		tell(loop, item);
	}
	return stop ? -1 : 0;
}

/* ---- the loop --------------------------------------------------------------------------------- */

int loop_watch(struct loop *loop, struct loop_source *source)
{
	/* The lowest bit tells a source from a connection. */
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP,
		.data.u64 = (uint64_t)(uintptr_t)source | 1,
	};

	return epoll_ctl(loop->server.epoll, EPOLL_CTL_ADD, source->descriptor, &event) < 0 ? -errno
											    : 0;
}

static int views_are_handled(void *context, struct loop_source *source, uint32_t events)
{
	(void)context;
	(void)source;
	(void)events;
	return 0;
}

static int64_t sooner(int64_t one, int64_t other)
{
	if (one < 0)
		return other;
	return other < 0 || one < other ? one : other;
}

/* What is due by the clock. Returns in how many ms to come back, -1 for never. */
static int keep_time(struct loop *loop)
{
	struct connection *stranger = loop->strangers.next;
	struct server *server = &loop->server;
	const struct record *record = &server->operations->record;

	if (stranger == &loop->strangers && !server->first && !server->stuck && !server->slow &&
		!server->undelivered.first && sums_due(record->sums) == INT64_MAX)
		return -1;
	int64_t now = clock_ms();
	/* Before what else is due, which may add to it. */
	int64_t sums = record_due(record, now);
	while (stranger != &loop->strangers && stranger->expires <= now) {
		/* Who waits for a reload, which root may though no policy names it, is not idle. */
		if (stranger->reload)
			keep_stranger(loop, stranger);
		else
			drop(loop, stranger);
		stranger = loop->strangers.next;
	}
	int64_t due = connection_expire(server, now, drop, loop);
	int kept = undelivered_check(&server->undelivered, clock_ns());
	if (kept >= 0)
		due = sooner(due, now + kept);
	stranger = loop->strangers.next;
	if (stranger != &loop->strangers)
		due = sooner(due, stranger->expires);
	if (sums != INT64_MAX)
		due = sooner(due, sums);
	if (due < 0)
		return -1;
	return due > now ? (int)(due - now) : 0;
}

static void serve_connection(struct loop *loop, struct connection *connection, uint32_t events)
{
	int end = connection_ready(connection, events, &loop->server);

	if (end)
		drop(loop, connection);
	else if (connection->expires)
		keep_stranger(loop, connection);
}

static struct loop_source *source_of(const struct epoll_event *event)
{
	return event->data.u64 & 1 ? (void *)(uintptr_t)(event->data.u64 & ~(uint64_t)1) : NULL;
}

/* One batch of events. */
static void turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(loop->server.epoll, events, EVENTS_MAX, keep_time(loop));
	/* What has been replaced must not be served to a request that was sent afterwards. Where there are more
	 * events, that it is not among them says nothing. */
	bool changed = count == EVENTS_MAX;

	for (int i = 0; i < count; i++)
		changed = changed || source_of(&events[i]) == &loop->views;
	views_changed(loop->house->service->views, changed);
	/* Connections first: what a source does may end one, of which an event may be among these. */
	for (int i = 0; i < count; i++)
		if (!source_of(&events[i]))
			serve_connection(loop, events[i].data.ptr, events[i].events);
	for (int i = 0; i < count; i++) {
		struct loop_source *source = source_of(&events[i]);
		if (source && source->ready(source->context, source, events[i].events))
			loop->end = true;
	}
}

void loop_run(struct loop *loop)
{
	while (!loop->end)
		turn(loop);
}

void loop_finish(struct loop *loop, int64_t end)
{
	struct pollfd source = {.fd = loop->wake.descriptor, .events = POLLIN};

	for (;;) {
		int64_t left = end - clock_ms();
		if (left <= 0 || !connection_lossy(&loop->server))
			return;
		if (poll(&source, 1, (int)left) > 0)
			hear_threads(loop, &loop->wake, 0);
	}
}

struct loop *loop_new(struct house *house)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct server *server;

	if (!loop)
		return NULL;
	server = &loop->server;
	loop->house = house;
	loop->known.next = loop->known.previous = &loop->known;
	loop->strangers.next = loop->strangers.previous = &loop->strangers;
	pthread_mutex_init(&loop->mutex, NULL);
	loop->last_arrival = &loop->arrivals;
	loop->last_done = &loop->done;
	server->last = &server->first;
	server->last_slow = &server->slow;
	server->undelivered.closed = connection_tell_closed;
	server->undelivered.context = server;
	server->lane = house->lane;
	server->channel = house->channel;
	server->open_timeout = house->open_timeout;
	server->done = job_done;
	server->context = loop;
	server->operations = operations_new(house->service);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->wake = (struct loop_source){
		.descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.ready = hear_threads,
		.context = loop,
	};
	loop->views = (struct loop_source){
		.descriptor = views_descriptor(house->service->views),
		.ready = views_are_handled,
	};
	if (!server->operations || server->epoll < 0 || loop->wake.descriptor < 0 ||
		loop_watch(loop, &loop->wake) || loop_watch(loop, &loop->views)) {
		loop_free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->known.next != &loop->known)
		drop(loop, loop->known.next);
	while (loop->strangers.next != &loop->strangers)
		drop(loop, loop->strangers.next);
	undelivered_release(&loop->server.undelivered, clock_ns());
	/* Threads of the lane that hang have jobs of this one, and tell it when they are done. */
	if (loop->server.stuck || loop->server.first)
		return;
	if (loop->server.epoll >= 0)
		close(loop->server.epoll);
	if (loop->wake.descriptor >= 0)
		close(loop->wake.descriptor);
	operations_free(loop->server.operations);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}
