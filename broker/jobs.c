/* SPDX-License-Identifier: MIT */
/* jobs.c: what the lane does for a connection, and who waits for it until when. How that ends is in jobs-end.c. */
#include "connection-parts.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void job_unlist(struct server *server, struct job *job)
{
	*job->previous_own = job->next_own;
	if (job->next_own)
		job->next_own->previous_own = job->previous_own;
	else if (server->last == &job->next_own)
		server->last = job->previous_own;
}

int jobs_begin(struct connection *connection, struct server *server, const struct request *request,
	bool stranger, const struct reply *reply, size_t length)
{
	struct job *job = calloc(1, sizeof(*job) + length);

	if (!job)
		return -ENOMEM;
	int error = replies_take(connection, server, ACCOUNT_OPENS);
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
	job->descriptor = replies_give_descriptor(request);
	list_job(server, job,
		clock_ms() +
			(reply->timeout ? (int64_t)reply->timeout * 1000 : server->open_timeout));
	connection->jobs++;
	lane_submit(server->lane, job);
	return 0;
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

void job_release(struct job *job)
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

void job_abandon(struct server *server, struct job *job)
{
	job_unlist(server, job);
	job->abandoned = true;
	if (lane_withdraw(server->lane, job)) {
		job->reply.descriptor = -1;
		job_release(job);
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

void jobs_abandon(struct server *server, const struct connection *connection)
{
	struct job *next;

	for (struct job *job = server->first; job; job = next) {
		next = job->next_own;
		if (job->connection == connection)
			job_abandon(server, job);
	}
}

int64_t jobs_prod(struct server *server, int64_t now)
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
