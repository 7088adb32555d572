/* SPDX-License-Identifier: MIT */
/* jobs-end.c: how what the lane does for connections ends: it is done, or its time is up. */
#include "connection-parts.h"

#include "clock.h"

#include <errno.h>

struct connection *connection_finish(struct server *server, struct job *job)
{
	struct connection *connection = job->connection;
	int end = 0;

	bool settles = job->settles;

	job_unlist(server, job);
	if (!job->abandoned && !connection->closed && !settles) {
		/* From here on the reply counts, and what is not sent of it is given back. */
		if (job->reply.descriptor >= 0)
			job->descriptor = false;
		job_release(job);
		/* What the maker does in the caller's name has the same deadline, and may be the first to notice. */
		if (job->reply.error == ETIMEDOUT && job->deadline <= clock_ms())
			operations_late(server->operations, &connection->peer, &job->request);
		end = replies_answer(connection, server, &job->request, &job->reply, job);
	} else {
		job_release(job);
		lane_close(server->lane, job);
	}
	if (connection->closed) {
		if (!connection->jobs)
			connection_free(connection);
		return NULL;
	}
	if (settles)
		return NULL;
	return end || connection_watch(connection, server) ? connection : NULL;
}

int64_t connection_expire(struct server *server, int64_t now,
	void (*end)(void *context, struct connection *connection), void *context)
{
	int64_t due = jobs_prod(server, now);

	while (server->slow && server->slow->patience <= now) {
		struct connection *slow = server->slow;
		/* epoll(7) tells of room only when most of the buffer is empty; whoever has taken one has made some. */
		int failed = replies_flush(slow, server);
		bool taken = server->slow != slow || slow->patience > now;
		if (!failed && taken && !connection_watch(slow, server))
			continue;
		if (!failed)
			operations_dropped(server->operations, &slow->peer);
		end(context, slow);
	}
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
		int failed = replies_answer(connection, server, &job->request, &reply, NULL);
		operations_timed_out(server->operations, &connection->peer, &job->request);
		job_abandon(server, job);
		if (failed || connection_watch(connection, server))
			end(context, connection);
	}
	if (server->first && (due < 0 || server->first->deadline < due))
		due = server->first->deadline;
	return due;
}
