/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include "channel.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Bytes of the kernel's send buffer, which bounds how many replies, and descriptors in them, a
 * client can leave unread: about forty. The kernel doubles the number (socket(7)).
 */
#define SEND_BUFFER 16384

/* How often a client may ask what was lost with a worker, besides what its limits allow. */
#define SYNCS_FREE 4

/* One message, and where its sender is named. A byte more than allowed, to see that it is too long.
 */
struct message {
	ssize_t length;
	int flags;
	bool known; /* whether the kernel named the sender */
	struct ucred sender;
	bool descriptors; /* whether there were any; they are closed */
};

/* A reply that has not been sent. */
struct waiting {
	struct waiting *next;
	struct fdbroker_reply reply;
	int descriptor;	 /* -1 where none */
	struct job *job; /* whose descriptor it is, of a reply from the lane; else NULL */
	char data[];
};

struct connection *connection_new(int socket, uint32_t client, bool taken_over)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->socket = socket;
	connection->client = client;
	connection->taken_over = taken_over;
	/* Whoever has lost a worker finds out what else he lost, whatever he may ask for a second. */
	connection->syncs = taken_over ? SYNCS_FREE : 0;
	connection->last = &connection->first;
	return connection;
}

/* Listens to the client unless its replies wait or it has enough under way. 0 or a negative errno. */
static int watch(struct connection *connection, struct server *server)
{
	uint32_t events = connection->first			   ? EPOLLOUT
			  : connection->jobs < CONNECTION_JOBS_MAX ? EPOLLIN
								   : 0;
	struct epoll_event event = {.events = events, .data.ptr = connection};

	if (connection->watched == events)
		return 0;
	connection->watched = events;
	return epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->socket, &event) < 0 ? -errno : 0;
}

/* Reads the control messages: who sent this, and away with descriptors. */
static void read_control(struct msghdr *header, struct message *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS &&
			c->cmsg_len == CMSG_LEN(sizeof(message->sender))) {
			memcpy(&message->sender, CMSG_DATA(c), sizeof(message->sender));
			message->known = true;
		}
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		message->descriptors = true;
		for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int descriptor;
			memcpy(&descriptor, CMSG_DATA(c) + at, sizeof(int));
			close(descriptor);
		}
	}
}

/* 1: a message; 0: the client is gone; a negative errno. */
static int receive(int socket, char *buffer, size_t size, struct message *message)
{
	/* Room for the sender and one descriptor: the kernel drops what does not fit and says so.
	 */
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = buffer, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*message = (struct message){0};
	message->length = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (message->length < 0)
		return -errno;
	message->flags = header.msg_flags;
	read_control(&header, message);
	/* A message of zero length is no end: it has a sender. */
	return message->length > 0 || message->known;
}

/* Why this is no request that could be looked at, or NULL. */
static const char *refuse(
	const char *buffer, const struct message *message, struct request *request, int *error)
{
	*error = -EBADMSG;
	if (message->flags & MSG_TRUNC || message->length > FDBROKER_REQUEST_MAX) {
		*request = (struct request){0};
		return "a message beyond the largest size";
	}
	*error = request_decode(buffer, (size_t)message->length, request);
	if (*error == -EPROTONOSUPPORT)
		return "a message of another protocol version";
	if (*error)
		return "a malformed message";
	if (message->descriptors || message->flags & MSG_CTRUNC) {
		*error = -EBADMSG;
		return "a message with descriptors attached";
	}
	return NULL;
}

/* 0: gone, or the client is. -EAGAIN: the client has no room. Another negative errno: cannot be
 * sent. */
static int send_reply(
	int socket, const struct fdbroker_reply *reply, int descriptor, const char *data)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = {
		{.iov_base = (void *)(uintptr_t)reply, .iov_len = sizeof(*reply)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = reply->data_length},
	};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = reply->data_length ? 2 : 1};

	if (descriptor >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
	}
	return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * Sends a reply, whose descriptor stays the caller's. 0: sent. -EAGAIN: the client has no room yet. Another negative
 * errno: the client is gone.
 */
static int send_or_say(int socket, struct fdbroker_reply *reply, int descriptor, const char *data)
{
	int error = send_reply(socket, reply, descriptor, data);

	if (!error || error == -EAGAIN || error == -EPIPE || error == -ECONNRESET || descriptor < 0)
		return error;
	/* The descriptor cannot travel (ETOOMANYREFS: too many are under way). Say so. */
	reply->descriptors = 0;
	reply->error = (uint32_t)-error;
	return send_reply(socket, reply, -1, data);
}

/* Its time begins anew; at first, too. */
static void list_slow(struct connection *connection, struct server *server)
{
	connection->patience = clock_ms() + CONNECTION_PATIENCE;
	connection->next_slow = NULL;
	connection->previous_slow = server->last_slow;
	*server->last_slow = connection;
	server->last_slow = &connection->next_slow;
}

static void unlist_slow(struct connection *connection, struct server *server)
{
	if (!connection->previous_slow)
		return;
	*connection->previous_slow = connection->next_slow;
	if (connection->next_slow)
		connection->next_slow->previous_slow = connection->previous_slow;
	else
		server->last_slow = connection->previous_slow;
	connection->previous_slow = NULL;
}

/* The descriptor of a reply has been sent, or never will be. Of a job's, closing may take as long as opening did. */
static void close_sent(struct server *server, int descriptor, struct job *job)
{
	if (job)
		lane_close(server->lane, job);
	else if (descriptor >= 0)
		close(descriptor);
}

/* What a waiting reply takes of the account. */
static uint32_t weight(const struct waiting *waiting)
{
	return (uint32_t)sizeof(*waiting) + waiting->reply.data_length;
}

/* The first one has been sent, or never will be. */
static void forget_first(struct connection *connection, struct server *server)
{
	struct waiting *waiting = connection->first;

	account_give_back(connection->account, ACCOUNT_BYTES, weight(waiting));
	close_sent(server, waiting->descriptor, waiting->job);
	connection->first = waiting->next;
	if (!connection->first)
		connection->last = &connection->first;
	free(waiting);
}

/* A reply with a descriptor, which had been counted, has been sent; or the descriptor was not. */
static void count_descriptor(struct connection *connection, bool sent)
{
	if (sent)
		account_sent(connection->account, 1);
	else
		account_give_back(connection->account, ACCOUNT_DESCRIPTORS, 1);
}

/* Sends what waits, as far as there is room. 0, or -1 where the connection is at its end. */
static int flush(struct connection *connection, struct server *server)
{
	while (connection->first) {
		struct waiting *waiting = connection->first;
		int error = send_or_say(
			connection->socket, &waiting->reply, waiting->descriptor, waiting->data);
		if (error == -EAGAIN)
			return 0;
		if (error)
			return -1;
		if (waiting->descriptor >= 0)
			count_descriptor(connection, waiting->reply.descriptors);
		forget_first(connection, server);
		unlist_slow(connection, server);
		if (connection->first)
			list_slow(connection, server);
	}
	return 0;
}

/* Keeps a reply until there is room. It owns the descriptor and the job. 0, or -1 without memory for it, or too much kept. */
static int keep(struct connection *connection, struct server *server,
	const struct fdbroker_reply *reply, int descriptor, const char *data, struct job *job)
{
	struct waiting *waiting = malloc(sizeof(*waiting) + reply->data_length);
	struct account_refusal refusal;

	if (waiting) {
		waiting->reply = *reply;
		if (account_take(connection->account, ACCOUNT_BYTES, weight(waiting), clock_ns(),
			    &refusal)) {
			operations_refused(server->operations, &connection->peer, &refusal);
			free(waiting);
			waiting = NULL;
		}
	}
	if (!waiting) {
		if (descriptor >= 0)
			count_descriptor(connection, false);
		close_sent(server, descriptor, job);
		return -1;
	}
	if (!connection->first)
		list_slow(connection, server);
	waiting->job = job;
	waiting->next = NULL;
	waiting->descriptor = descriptor;
	if (reply->data_length)
		memcpy(waiting->data, data, reply->data_length);
	*connection->last = waiting;
	connection->last = &waiting->next;
	return 0;
}

/*
 * Sends the reply, or leaves it waiting. `job`, unless it is NULL, is the one that the reply is of; it is the lane's
 * then. 0, or -1 where the connection is at its end.
 */
static int answer_for(struct connection *connection, struct server *server,
	const struct request *request, const struct reply *reply, struct job *job)
{
	struct fdbroker_reply header = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.operation = request->operation,
		.id = request->id,
		.error = reply->error,
		.descriptors = reply->descriptor >= 0 ? 1 : 0,
		.data_length = (uint32_t)reply->data_length,
	};
	int error = -EAGAIN;

	if (!connection->first)
		error = send_or_say(connection->socket, &header, reply->descriptor, reply->data);
	if (error == -EAGAIN && header.descriptors == (reply->descriptor >= 0))
		return keep(connection, server, &header, reply->descriptor, reply->data, job);
	if (reply->descriptor >= 0)
		count_descriptor(connection, !error && header.descriptors);
	/* Of one that cannot travel only the error waits. */
	if (error == -EAGAIN)
		error = keep(connection, server, &header, -1, NULL, NULL);
	close_sent(server, reply->descriptor, job);
	return error ? -1 : 0;
}

static int answer(struct connection *connection, struct server *server,
	const struct request *request, const struct reply *reply)
{
	return answer_for(connection, server, request, reply, NULL);
}

void connection_dismiss(struct connection *connection, int error)
{
	const struct fdbroker_reply reply = {
		.version = FDBROKER_PROTOCOL_VERSION,
		.error = (uint32_t)error,
	};

	send_reply(connection->socket, &reply, -1, NULL);
}

int connection_start(struct connection *connection, struct server *server)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	struct request none = {.operation = FDBROKER_RESTARTED};
	struct reply restarted = {.descriptor = -1};
	int size = SEND_BUFFER;

	if (setsockopt(connection->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
		epoll_ctl(server->epoll, EPOLL_CTL_ADD, connection->socket, &event) < 0)
		return -errno;
	connection->watched = EPOLLIN;
	if (!connection->taken_over)
		return 0;
	return answer(connection, server, &none, &restarted) ? -EPIPE : watch(connection, server);
}

int connection_reloaded(struct connection *connection, struct server *server, uint32_t id,
	int error, const char *text)
{
	struct request request = {.operation = FDBROKER_RELOAD, .id = connection->reload};
	struct reply reply = {
		.error = (uint32_t)error,
		.descriptor = -1,
		.data = text,
		.data_length = strlen(text),
	};

	/* Its number may have been another client's, who asked and has gone. */
	if (!connection->reload || connection->reload != id)
		return 0;
	connection->reload = 0;
	return answer(connection, server, &request, &reply) || watch(connection, server) ? -1 : 0;
}

/* Whether the reply to such a request may carry a descriptor: it is counted beforehand, so that being refused for it
 * has done nothing. */
static bool gives_descriptor(const struct request *request)
{
	switch (request->operation) {
	case FDBROKER_OPEN:
	case FDBROKER_TREE:
	case FDBROKER_WATCH:
	case FDBROKER_CONNECT:
	case FDBROKER_BIND:
		return true;
	}
	return false;
}

/* Takes one of that kind for the connection. 0, or -EDQUOT, which has been recorded. */
static int take(struct connection *connection, struct server *server, enum account_kind kind)
{
	struct account_refusal refusal;
	int error = account_take(connection->account, kind, 1, clock_ns(), &refusal);

	if (error)
		operations_refused(server->operations, &connection->peer, &refusal);
	return error;
}

/* ---- jobs ------------------------------------------------------------------------------------- */

/* ms between two tries to stop a job that nobody waits for, and how many of them: what has not stopped by then hangs
 * in a file system, and stops when that answers. */
#define PROD_TIME  100
#define PROD_TRIES 20

/* The one before it in the thread's list, or NULL. */
static struct job *job_before(const struct server *server, struct job *const *previous_own)
{
	if (previous_own == &server->first)
		return NULL;
	return (struct job *)((char *)(uintptr_t)previous_own - offsetof(struct job, next_own));
}

/* By deadline: it is usually the last. */
static void list_job(struct server *server, struct job *job, int64_t deadline)
{
	struct job **at = server->last, *before;

	while ((before = job_before(server, at)) && before->deadline > deadline)
		at = before->previous_own;
	job->deadline = deadline;
	job->previous_own = at;
	job->next_own = *at;
	*at = job;
	if (job->next_own)
		job->next_own->previous_own = &job->next_own;
	else
		server->last = &job->next_own;
}

/* It is waited for no longer, or has stopped. */
static void unlist_job(struct server *server, struct job *job)
{
	*job->previous_own = job->next_own;
	if (job->next_own)
		job->next_own->previous_own = job->previous_own;
	else if (server->last == &job->next_own)
		server->last = job->previous_own;
}

/* Has the request done in the lane. 0, or -ENOMEM or -EMFILE. */
static int put_into_lane(struct connection *connection, struct server *server,
	const struct request *request, bool stranger, const struct reply *reply, size_t length)
{
	struct job *job = calloc(1, sizeof(*job) + length);

	if (!job)
		return -ENOMEM;
	int error = take(connection, server, ACCOUNT_OPENS);
	if (error) {
		free(job);
		return error;
	}
	memcpy(job->message, server->buffer, length);
	job->length = length;
	job->connection = connection;
	job->peer = &connection->peer;
	/* Its own one: by the time that it is used this connection may have ended, and the number be another's. */
	job->client = -1;
	if (reply->client)
		job->client = fcntl(connection->socket, F_DUPFD_CLOEXEC, 0);
	if (reply->client && job->client < 0) {
		error = -errno;
		free(job);
		account_give_back(connection->account, ACCOUNT_OPENS, 1);
		return error;
	}
	job->stranger = stranger;
	job->request = *request;
	job->request.path = job->message + (request->path - server->buffer);
	job->request.extra = job->message + (request->extra - server->buffer);
	job->directory = reply->directory;
	job->done = server->done;
	job->context = server->context;
	job->account = account_hold(connection->account);
	job->descriptor = gives_descriptor(request);
	list_job(server, job,
		clock_ms() +
			(reply->timeout ? (int64_t)reply->timeout * 1000 : server->open_timeout));
	connection->jobs++;
	lane_submit(server->lane, job);
	return 0;
}

static void free_connection(struct connection *connection)
{
	peer_release(&connection->peer);
	free(connection);
}

int connection_settle(
	struct connection *connection, struct server *server, _Atomic unsigned int *settling)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	job->settles = true;
	job->settling = settling;
	++*settling;
	job->client = -1;
	job->socket = connection->socket;
	job->connection = connection;
	job->peer = &connection->peer;
	job->reply.descriptor = -1;
	job->done = server->done;
	job->context = server->context;
	list_job(server, job, clock_ms() + server->open_timeout);
	connection->jobs++;
	lane_submit(server->lane, job);
	return 0;
}

bool connection_settling(const struct server *server, uint32_t client)
{
	for (const struct job *job = server->first; job; job = job->next_own)
		if (job->settles && job->connection->client == client)
			return true;
	return false;
}

/* The connection and its account have no more to do with it; what is left is the lane's to close. */
static void release_job(struct job *job)
{
	struct connection *connection = job->connection;

	if (job->descriptor)
		account_give_back(job->account, ACCOUNT_DESCRIPTORS, 1);
	if (job->account) {
		account_give_back(job->account, ACCOUNT_OPENS, 1);
		account_release(job->account, clock_ns());
	}
	if (job->client >= 0)
		close(job->client);
	job->client = -1;
	if (job->settling)
		--*job->settling;
	connection->jobs--;
}

bool connection_lossy(const struct server *server)
{
	for (const struct job *job = server->first; job; job = job->next_own) {
		const struct request *request = &job->request;
		if (job->settles)
			continue;
		if (request->operation > FDBROKER_TREE)
			return true;
		if (request->operation == FDBROKER_OPEN &&
			(request->flags & (O_CREAT | O_TRUNC | __O_TMPFILE)))
			return true;
	}
	return false;
}

struct connection *connection_finish(struct server *server, struct job *job)
{
	struct connection *connection = job->connection;
	int end = 0;

	bool settles = job->settles;

	unlist_job(server, job);
	if (!job->abandoned && !connection->closed && !settles) {
		/* From here on the reply counts, and what is not sent of it is given back. */
		if (job->reply.descriptor >= 0)
			job->descriptor = false;
		release_job(job);
		end = answer_for(connection, server, &job->request, &job->reply, job);
	} else {
		release_job(job);
		lane_close(server->lane, job);
	}
	if (connection->closed) {
		if (!connection->jobs)
			free_connection(connection);
		return NULL;
	}
	if (settles)
		return NULL;
	return end || watch(connection, server) ? connection : NULL;
}

/* Nobody waits for it any more. */
static void abandon(struct server *server, struct job *job)
{
	unlist_job(server, job);
	job->abandoned = true;
	if (lane_withdraw(server->lane, job)) {
		job->reply.descriptor = -1;
		release_job(job);
		lane_close(server->lane, job);
		return;
	}
	job->next_own = server->stuck;
	job->previous_own = &server->stuck;
	if (server->stuck)
		server->stuck->previous_own = &job->next_own;
	server->stuck = job;
	if (!server->prod)
		server->prod = clock_ms() + PROD_TIME;
}

static void abandon_all(struct server *server, const struct connection *connection)
{
	struct job *next;

	for (struct job *job = server->first; job; job = next) {
		next = job->next_own;
		if (job->connection == connection)
			abandon(server, job);
	}
}

void connection_tell_closed(void *context, uint32_t client)
{
	const struct server *server = context;
	struct channel_message closed = {
		.type = CHANNEL_CLOSED,
		.index = client,
		.descriptor = -1,
	};

	channel_send(server->channel, &closed);
}

void connection_close(struct connection *connection, struct server *server)
{
	struct message message;

	/* With a request unread the client would get ECONNRESET before the replies that tell it
	 * why. After the shutdown nothing more can come. A job may have the socket too: it would go on to be
	 * polled. */
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, connection->socket, NULL);
	shutdown(connection->socket, SHUT_RDWR);
	while (receive(connection->socket, server->buffer, sizeof(server->buffer), &message) > 0)
		;
	while (connection->first) {
		if (connection->first->descriptor >= 0)
			count_descriptor(connection, false);
		forget_first(connection, server);
	}
	unlist_slow(connection, server);
	abandon_all(server, connection);
	/* What the client has yet to receive goes on counting, with the next worker too: until then the supervisor keeps
	 * its copy. */
	if (connection->account) {
		undelivered_add(&server->undelivered, connection->socket, connection->client,
			connection->account, clock_ns());
	} else {
		close(connection->socket);
		connection_tell_closed(server, connection->client);
	}
	connection->account = NULL;
	connection->closed = true;
	if (!connection->jobs)
		free_connection(connection);
}

/* Tells those again that had just begun to wait when they were told. When to come back, -1 for never. */
static int64_t prod(struct server *server, int64_t now)
{
	bool left = false;

	if (!server->stuck || server->prod > now)
		return server->stuck && server->prod ? server->prod : -1;
	for (struct job *job = server->stuck; job; job = job->next_own) {
		if (job->prodded >= PROD_TRIES)
			continue;
		job->prodded++;
		lane_withdraw(server->lane, job);
		left = true;
	}
	server->prod = left ? now + PROD_TIME : 0;
	return left ? server->prod : -1;
}

int64_t connection_expire(struct server *server, int64_t now,
	void (*end)(void *context, struct connection *connection), void *context)
{
	int64_t due = prod(server, now);

	while (server->slow && server->slow->patience <= now)
		end(context, server->slow);
	if (server->slow && (due < 0 || server->slow->patience < due))
		due = server->slow->patience;
	while (server->first && server->first->deadline <= now) {
		struct job *job = server->first;
		struct connection *connection = job->connection;
		struct reply reply = {.error = ETIMEDOUT, .descriptor = -1};
		if (job->settles) {
			connection_dismiss(connection, ETIMEDOUT);
			connection_close(connection, server);
			continue;
		}
		int failed = answer(connection, server, &job->request, &reply);
		operations_timed_out(server->operations, &connection->peer, &job->request);
		abandon(server, job);
		if (failed || watch(connection, server))
			end(context, connection);
	}
	if (server->first && (due < 0 || server->first->deadline < due))
		due = server->first->deadline;
	return due;
}

/* ---- serving ---------------------------------------------------------------------------------- */

/* Tells which of the connection's requests are under way: all others that it has sent have been answered, or lost with
 * a worker before this one. */
static int answer_sync(
	struct connection *connection, struct server *server, const struct request *request)
{
	uint32_t ids[CONNECTION_JOBS_MAX + 1];
	struct reply reply = {.descriptor = -1, .data = (const char *)ids};
	size_t count = 0;

	for (const struct job *job = server->first; job; job = job->next_own)
		if (job->connection == connection && count < CONNECTION_JOBS_MAX)
			ids[count++] = job->request.id;
	if (connection->reload)
		ids[count++] = connection->reload;
	reply.data_length = count * sizeof(*ids);
	return answer(connection, server, request, &reply);
}

/* Asks the supervisor, who answers later. 0, or -1 where the connection is at its end. */
static int ask_reload(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct channel_message message = {
		.type = CHANNEL_RELOAD,
		.index = connection->client,
		.id = request->id,
		.descriptor = -1,
	};
	struct reply reply = {.descriptor = -1};
	int error = operations_administer(server->operations, &connection->peer, request);

	if (!error && connection->reload)
		error = -EBUSY;
	if (!error)
		error = channel_send(server->channel, &message);
	if (error) {
		reply.error = (uint32_t)-error;
		return answer(connection, server, request, &reply);
	}
	connection->reload = request->id;
	return 0;
}

/* Takes what the request is going to use. 0, or -EDQUOT, which has been recorded. */
static int take_all(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct account_refusal refusal;
	int error = account_request(connection->account, request->began, &refusal);

	if (error) {
		operations_refused(server->operations, &connection->peer, &refusal);
		return error;
	}
	return gives_descriptor(request) ? take(connection, server, ACCOUNT_DESCRIPTORS) : 0;
}

/* Does the request, or has it done in the lane, and answers it. 0, or -1 where the connection is at its end. */
static int run(struct connection *connection, struct server *server, const struct request *request,
	bool stranger, size_t length)
{
	struct reply reply = {.descriptor = -1};
	int error = take_all(connection, server, request);

	if (!error) {
		operations_run(server->operations, &connection->peer, stranger, request, &reply);
		if (reply.deferred) {
			error = put_into_lane(
				connection, server, request, stranger, &reply, length);
			if (!error)
				return 0;
		}
		if (gives_descriptor(request) && reply.descriptor < 0)
			account_give_back(connection->account, ACCOUNT_DESCRIPTORS, 1);
	}
	if (error)
		reply = (struct reply){.error = (uint32_t)-error, .descriptor = -1};
	return answer(connection, server, request, &reply);
}

/* What is asked of the connection or the daemon itself. */
static int run_own(
	struct connection *connection, struct server *server, const struct request *request)
{
	struct reply reply = {.error = EDQUOT, .descriptor = -1};

	if (take_all(connection, server, request))
		return answer(connection, server, request, &reply);
	return request->operation == FDBROKER_SYNC ? answer_sync(connection, server, request)
						   : ask_reload(connection, server, request);
}

static int serve(struct connection *connection, struct server *server)
{
	const struct peer *peer = &connection->peer;
	struct operations *operations = server->operations;
	struct message message;
	struct request request;
	struct reply reply = {.descriptor = -1};
	int error = receive(connection->socket, server->buffer, sizeof(server->buffer), &message);

	if (error <= 0)
		return error == -EAGAIN || error == -EINTR ? 0 : -1;
	uint64_t began = clock_ns();
	const char *reason = refuse(server->buffer, &message, &request, &error);
	request.began = began;
	if (reason) {
		operations_malformed(operations, peer, &request, reason, -error);
		reply.error = (uint32_t)-error;
		answer(connection, server, &request, &reply);
		return -1;
	}
	bool stranger = !message.known || (!peer_sent(peer, &message.sender) &&
						  !policy_caller_delegates(peer->caller));
	if (request.operation == FDBROKER_SYNC && connection->syncs) {
		connection->syncs--;
		return answer_sync(connection, server, &request);
	}
	if (request.operation == FDBROKER_SYNC ||
		(request.operation == FDBROKER_RELOAD && !stranger))
		return run_own(connection, server, &request);
	return run(connection, server, &request, stranger, (size_t)message.length);
}

int connection_ready(struct connection *connection, uint32_t events, struct server *server)
{
	if (connection->first) {
		if ((events & (EPOLLERR | EPOLLHUP)) || flush(connection, server))
			return -1;
	} else if (connection->jobs >= CONNECTION_JOBS_MAX) {
		if (events & (EPOLLERR | EPOLLHUP))
			return -1;
	} else if (serve(connection, server)) {
		return -1;
	}
	return watch(connection, server) ? -1 : 0;
}
