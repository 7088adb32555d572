/* SPDX-License-Identifier: MIT */
/*
 * lane.h: the offload lane: threads that do what may take long, so that an event thread never does. A request that an
 * event thread could not do at once (patience.h) becomes a job here and is done from its start, first with the
 * patience that a disk needs, then, if that is not enough, with all.
 *
 * Nobody takes all the threads: one uid has some at most, and what may take for ever has some at most for one
 * directory of the policy, and leaves some for what only takes the disk's time. A job beyond that waits in line, where
 * uids have their turns, one job each; whoever submitted it stops waiting when he likes. No thread is made for a
 * request: there are more of them only when more jobs are done at once than ever before, up to a bound. Threads stay.
 *
 * Closing a descriptor can take as long as opening it did (close(2) waits for a server that has to be told): so what a
 * patient thread has opened is closed here too.
 */
#ifndef BROKER_LANE_H
#define BROKER_LANE_H

#include "operations.h"

/* Threads. */
#define LANE_THREADS_MAX 64
/* Of those, for the jobs of one uid; for jobs that may take for ever, of one directory and in all. */
#define LANE_UID_MAX	   8
#define LANE_DIRECTORY_MAX 8
#define LANE_ENDLESS_MAX   48

struct lane_slot;

/* A request, for as long as the lane has to do with it. */
struct job {
	struct job *next; /* in the lane's line, behind it: the next of the same uid */
	/* The lane's, of the first of each uid: the next uid's, and the last of this one. */
	struct job *next_uid, *last;
	/* Whoever submits fills in: */
	struct peer *peer; /* stays until the job is done */
	bool settles;	   /* it finds out who the peer is (peer_identify), and is no request */
	int socket;	   /* of the peer, for that */
	uint32_t number;   /* the supervisor's for him (vouch.h) */
	_Atomic unsigned int
		*settling; /* counts those of that uid, and of some others; else NULL */
	int client; /* -1, or the peer's socket, the job's own, for what is done in the peer's name */
	bool stranger;
	struct request request; /* its pointers lead into `message` */
	void (*done)(
		struct job *job); /* called in a thread of the lane, once, unless lane_withdraw */
	void *context;		  /* for `done` */
	/* The lane's: */
	uid_t uid;
	bool closes;		/* nothing is left of it but a descriptor to close */
	bool all;		/* it takes all patience */
	uint32_t directory;	/* of the policy, where it waits or was met */
	struct lane_slot *slot; /* the thread that does it; NULL in line */
	_Atomic bool cancelled;
	/* The result, with its data in memory of its own. Its descriptor is closed by lane_close. */
	struct reply reply;
	/* The submitter's own. */
	struct job *next_own, **previous_own;
	struct connection *connection;
	struct account *account; /* where it is counted, held; NULL: nowhere */
	bool descriptor;	 /* one has been taken of it for the reply */
	int64_t deadline;
	bool abandoned;
	unsigned int prodded;
	size_t length;
	char message[];
};

struct lane;

/* The threads share `service`. NULL where memory is short. */
struct lane *lane_new(const struct service *service);

/* Puts the job in line. The lane has it until `done`. */
void lane_submit(struct lane *lane, struct job *job);

/*
 * The submitter waits no longer. True: the job was in line and is the submitter's again. False: a thread does it, is
 * told to stop, and calls `done` when it does, which may be never; to be called again now and then until then, since
 * being told to stop is lost on a thread that is just about to wait.
 */
bool lane_withdraw(struct lane *lane, struct job *job);

/*
 * The submitter is done with a job that is done: closes the descriptor of its result, if there still is one, and frees
 * it. `peer` may be gone.
 */
void lane_close(struct lane *lane, struct job *job);

struct lane_state {
	unsigned int waiting, running, threads;
	unsigned int stuck; /* of those that run, for nobody any more: they hang in a file system */
};

void lane_state(struct lane *lane, struct lane_state *state);

#endif
