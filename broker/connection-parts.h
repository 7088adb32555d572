/* SPDX-License-Identifier: MIT */
/*
 * connection-parts.h: what the parts of a connection have from each other: connection.c (it begins and reads),
 * connection-end.c (it ends), jobs.c (what the lane does for it), jobs-end.c (that is done, or has no more time),
 * replies.c (what it is answered, now or when it has room). Nobody else includes it. Arrows: jobs-end.c → connection.c,
 * connection-end.c → jobs.c → replies.c.
 */
#ifndef BROKER_CONNECTION_PARTS_H
#define BROKER_CONNECTION_PARTS_H

#include "connection.h"

/* ---- connection.c ---- */

/* Listens to the client unless its replies wait or it has enough under way. 0 or a negative errno. */
int connection_watch(struct connection *connection, struct server *server);
/* ---- connection-end.c ---- */

/* Frees what is left of one that is closed and has no jobs. */
void connection_free(struct connection *connection);

/* ---- replies.c ---- */

/*
 * Sends the reply, or leaves it waiting. `job`, unless it is NULL, is the one that the reply is of; it is the lane's
 * then. 0, or -1 where the connection is at its end.
 */
int replies_answer(struct connection *connection, struct server *server,
	const struct request *request, const struct reply *reply, struct job *job);
/* Sends what waits, as far as there is room. 0, or -1 where the connection is at its end. */
int replies_flush(struct connection *connection, struct server *server);
/* They will never be sent. */
void replies_drop(struct connection *connection, struct server *server);
/* Takes one of that kind for the connection. 0, or -EDQUOT, which has been recorded. */
int replies_take(struct connection *connection, struct server *server, enum account_kind kind);
/* Whether the reply to such a request may carry a descriptor: it is counted beforehand, so that being refused for it
 * has done nothing. */
bool replies_give_descriptor(const struct request *request);

/* ---- jobs.c ---- */

/* Has the request done in the lane. 0, or -ENOMEM, -EMFILE or -EDQUOT. */
int jobs_begin(struct connection *connection, struct server *server, const struct request *request,
	bool stranger, const struct reply *reply, size_t length);
/* Nobody waits for those of the connection any more. */
void jobs_abandon(struct server *server, const struct connection *connection);
/* Nor for this one. */
void job_abandon(struct server *server, struct job *job);
/* Tells those again that had just begun to wait when they were told. When to come back, -1 for never. */
int64_t jobs_prod(struct server *server, int64_t now);
/* It is waited for no longer, or has stopped. */
void job_unlist(struct server *server, struct job *job);
/* The connection and its account have no more to do with it; what is left is the lane's to close. */
void job_release(struct job *job);

#endif
