/* SPDX-License-Identifier: MIT */
/*
 * connection-list.h: circular lists of connections, each with a connection for its head that is none. One connection is in
 * one of them at most.
 */
#ifndef BROKER_CONNECTION_LIST_H
#define BROKER_CONNECTION_LIST_H

#include "connection.h"

/* To the end of it. */
static inline void list_add(struct connection *head, struct connection *connection)
{
	connection->previous = head->previous;
	connection->next = head;
	head->previous->next = connection;
	head->previous = connection;
}

static inline void list_remove(struct connection *connection)
{
	connection->previous->next = connection->next;
	connection->next->previous = connection->previous;
}

#endif
