/* SPDX-License-Identifier: MIT */
/*
 * channel.h: the messages between the supervisor, the maker and a worker, over SOCK_SEQPACKET socketpairs.
 *
 * Each message is one fixed header, at most one text and at most two descriptors. What may be said when, between
 * the supervisor and the worker:
 *
 *	supervisor, at once	START (when the daemon started; the socket to the maker; whether SNAPSHOT follows)
 *				SNAPSHOT (a descriptor): to be read in place of the policy (snapshot.h)
 *	worker, loading		REPORT (what is to be said of the policy: a line)
 *	worker, confined	READY (index: a thread of it, crew.h; a summary; a descriptor: what a worker in its
 *				place is to read)
 *	supervisor, from then	CLIENT (index; address, socket; whether another worker had it before)
 *	worker			CLOSED (index): it has ended that connection
 *				BACK (index): there was no room for its descriptor; later again
 *				RELOAD (index, id): that client's request `id` is for a reload
 *				LOG: there was no room for the descriptor; later again
 *				ORPHANED: its maker is gone, and it ends
 *	supervisor		RELOADED (index, id; error, text): what became of it
 *	supervisor, any time	LOG (a descriptor)		the record's file, opened anew
 *				PING				-> PONG, from the worker's first loop
 *	supervisor, any time	HANDOVER	-> the worker stops serving, ends no connection, and ends with status 0
 *				STOP		-> the worker ends all connections, and ends with status 0
 *
 * What does not belong there, the supervisor takes as proof that the worker is not itself.
 *
 * Between the worker and the maker (maker.h), which answers a message with one of the same id:
 *
 *	supervisor, at once	START (a descriptor: vouch.h), before there is a worker to say anything
 *	maker, at once		WATCH (an inotify descriptor)
 *	worker, loading		VIEW (index, attributes, path)	-> VIEW (error or a descriptor; watches)
 *				TEMPLATE (index, attributes, path with variables)
 *								-> VIEW (error: whether there can be any)
 *				USER (uid, name and home)	(template.h)
 *				EXE (index, path)		(settle.h)
 *				SOCKET (index, endpoint, name)	(behalf.h)
 *				LOADED (attributes: what the policy calls for, policy/privileges.h)
 *								from here on it names nothing, and asks for
 *								nothing else
 *	worker, any time	RENEW (index, a caller's ids)	-> VIEW, made anew
 *	worker, loaded		CALLERS (a number behind those that were named; a template's, in the place of attributes;
 *				a caller's ids)			-> VIEW, of that caller's directory
 *	worker, any time	DEVICE (index, a caller's uid, flags, path)
 *								-> VIEW (error or the device, opened)
 *				IDENTIFY (a client's number and socket)
 *								-> IDENTIFY (settle.h)
 *				CONNECT, BIND, NOTIFY (a client's number and socket) -> the same (behalf.h)
 *	maker, any time		STALE (index)			a view's mounts have changed
 */
#ifndef BROKER_CHANNEL_H
#define BROKER_CHANNEL_H

#include "endpoint.h"
#include "idmap.h"

#include <stddef.h>
#include <stdint.h>

enum channel_type {
	CHANNEL_START = 1,
	CHANNEL_VIEW,
	CHANNEL_READY,
	CHANNEL_CLIENT,
	CHANNEL_STOP,
	CHANNEL_WATCH,
	CHANNEL_STALE,
	CHANNEL_RENEW,
	CHANNEL_DEVICE,
	CHANNEL_EXE,
	CHANNEL_IDENTIFY,
	CHANNEL_LOADED,
	CHANNEL_REPORT,
	CHANNEL_CLOSED,
	CHANNEL_BACK,
	CHANNEL_RELOAD,
	CHANNEL_RELOADED,
	CHANNEL_HANDOVER,
	CHANNEL_PING,
	CHANNEL_PONG,
	CHANNEL_LOG,
	CHANNEL_TEMPLATE,
	CHANNEL_USER,
	CHANNEL_CALLERS,
	CHANNEL_SOCKET,
	CHANNEL_CONNECT,
	CHANNEL_BIND,
	CHANNEL_NOTIFY,
	CHANNEL_SNAPSHOT,
	CHANNEL_ORPHANED,
};

/* Bytes of text, without the NUL that the receiver adds. */
#define CHANNEL_TEXT_MAX 4095

/* Bytes behind the descriptor of SNAPSHOT. */
#define CHANNEL_SNAPSHOT_MAX (64u << 20)

/* Views of callers' own directories that a worker may keep. */
#define CHANNEL_SLOTS 1024

struct channel_message {
	uint32_t type;	/* enum channel_type */
	uint32_t id;	/* of a question, for its answer; 0 where none is expected */
	uint32_t index; /* which view or client is meant */
	uint32_t
		attributes; /* of a view: enum view_attribute; of a client: it was another worker's;
			       of START: 1 where SNAPSHOT follows */
	int32_t error;	    /* 0 or a positive errno, in an answer */
	uint32_t uid, gid;  /* the caller's, of a view that is another one for each */
	struct idmap map;   /* of a view with VIEW_IDMAP, when it is named */
	struct endpoint endpoint; /* of a socket */
	char text[CHANNEL_TEXT_MAX + 1];
	int descriptor; /* -1 where none; a received one belongs to the receiver */
	int object;	/* of a NOTIFY, another one; 0 (standard input is never sent) where none */
};

/*
 * Makes a pair, close-on-exec: [0] for the supervisor, which never waits for a worker, [1] for the
 * worker, which may wait for the supervisor. 0 or a negative errno.
 */
int channel_pair(int channel[2]);

/* Likewise between maker and worker, who both may wait. */
int channel_pair_waiting(int channel[2]);

/*
 * Sends one message; `descriptor` stays the caller's. 0 or a negative errno; at the supervisor's end
 * -EAGAIN where the worker does not read what it is told.
 */
int channel_send(int channel, const struct channel_message *message);

/*
 * Receives one message. 1: there was one. 0: the other side is gone. A negative errno: -EAGAIN
 * where the channel does not block and nothing is there; -EBADMSG for a message that is none of the
 * above (its descriptors are closed); -EMFILE where there was no room for its descriptor, and the rest is there.
 */
int channel_receive(int channel, struct channel_message *message);

#endif
