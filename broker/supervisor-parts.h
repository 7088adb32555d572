/* SPDX-License-Identifier: MIT */
/*
 * supervisor-parts.h: what the parts of the supervisor have from each other: supervisor.c (it begins, waits for events and
 * ends), hearing.c (what a worker says, and who has ended), succession.c (who serves, and who follows), accepting.c
 * (clients), renewal.c (the program, executed anew), supervisor-log.c (what the record is told). Nobody else includes it.
 */
#ifndef BROKER_SUPERVISOR_PARTS_H
#define BROKER_SUPERVISOR_PARTS_H

#include "audit.h"
#include "clients.h"
#include "clock.h"
#include "crew.h"
#include "pace.h"
#include "reloads.h"
#include "sockets.h"
#include "vitals.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ms. After a worker that died before it was ready the next one waits, twice as long each time, up to the other. */
#define BACKOFF_FIRST 100
#define BACKOFF_MOST  10000

struct supervisor {
	const struct options *options;
	char program[PATH_MAX]; /* what the worker executes: this program, by its name */
	char started[CLOCK_STAMP];
	struct crew_program how;
	int log, signals;
	struct sockets sockets;
	struct clients *clients;
	struct pace *pace; /* how often a uid may connect */
	bool crowded;	   /* the worker does not take more clients at the moment */
	int64_t pause;	   /* ms: until then nothing is accepted; 0: it is */
	int64_t told;	   /* ms: when it was last said that there was no room; 0: never */

	struct crew serving; /* empty where none does */
	struct crew coming;  /* that loads, to take over; empty */
	bool leaving;	     /* the one that serves has been told that the other takes over */
	bool served;	     /* some worker was ready once */
	int snapshot; /* the policy that serves, for one that takes the place of its worker; -1 */
	struct reloads reloads;
	struct vitals vitals;
	int backoff;
	int64_t load_end;  /* ms: when to give up the one that loads */
	int64_t start;	   /* ms: when to start the next crew; 0: not */
	int64_t kill;	   /* ms: when to kill the one that leaves or stops; 0: never */
	int64_t log_again; /* ms: when to give the one that serves the record's file again; 0: not */
	pid_t orphaning;   /* a maker of which its worker said that it is gone; 0 */

	int64_t burial; /* ms: when to give up a worker of which a thread has ended; 0: none has */

	pid_t trial; /* the child that tries the program that is to be executed anew (resume.h); 0 */
	int64_t trial_end; /* ms: when to kill it */
	bool moving; /* it could, and is to be executed as soon as nothing is being handed over */

	bool stopping;
	int status; /* to exit with */
	struct audit_line line;
};

/* ---- hearing.c ---- */

/* Takes what the worker that serves, or the one that loads, has said. One that says what no worker says is killed. */
void hearing_serving(struct supervisor *supervisor);
void hearing_coming(struct supervisor *supervisor);
/* Sees to all children that have ended. */
void hearing_reap(struct supervisor *supervisor);
/* The worker has begun to end a while ago: where it has not been reaped, a thread of it hangs in a file system. */
void hearing_bury(struct supervisor *supervisor);

/* ---- succession.c ---- */

/* Starts a crew: for the policy that served, unless somebody wants the one that is in the files. */
void succession_start(struct supervisor *supervisor);
/* Begins a reload that somebody wants, unless one is under way. */
void succession_reload(struct supervisor *supervisor);
/* Gives the worker its clients, and then the answers that are for some of them. */
void succession_give(struct supervisor *supervisor);
/* The crew that loads is ready. Before it serves, the one that does must have stopped deciding. */
void succession_take_over(struct supervisor *supervisor);
/* One has ended, with that wait status; `reason` is for the record. */
void succession_serving_ended(
	struct supervisor *supervisor, pid_t pid, int status, const char *reason);
void succession_coming_ended(struct supervisor *supervisor, pid_t pid, int status);
/* One does not come to its end: it is killed, and not waited for. */
void succession_lose_serving(struct supervisor *supervisor, const char *reason);
void succession_lose_coming(struct supervisor *supervisor);
/* The daemon ends, with that exit status, as soon as the worker has. */
void succession_stop(struct supervisor *supervisor, int status);

/* ---- accepting.c ---- */

/* Whether connections are accepted at the moment. */
bool accepting_is_open(const struct supervisor *supervisor);
/* Accepts some of those who wait. */
void accepting_clients(struct supervisor *supervisor, const struct listener *listener);
/* Gives the worker those who connected too often and have waited. Returns when (ms) the next have, 0: nobody waits. */
int64_t accepting_turn(struct supervisor *supervisor, int64_t now);
/* A listening socket is none any more: opens it again, or stops. */
void accepting_mend(struct supervisor *supervisor);

/* ---- renewal.c ---- */

/* Has a child try whether the program could go on in the place of this one. */
void renewal_try(struct supervisor *supervisor);
/* It has, with that wait status. */
void renewal_tried(struct supervisor *supervisor, int status);
/* Executes the program. Returns only where that fails. */
void renewal_execute(struct supervisor *supervisor);
/* Goes on where the program that this process was before has left off. 0 or a negative errno. */
int renewal_take_up(struct supervisor *supervisor);

/* ---- supervisor-log.c ---- */

void log_event(struct supervisor *supervisor, const char *event);
void log_error(struct supervisor *supervisor, const char *event, const char *reason);
/* `event` says whose: "worker" or "maker". */
void log_death(struct supervisor *supervisor, const char *event, pid_t pid, int status,
	const char *reason);
void log_ready(struct supervisor *supervisor);
/* There is no room for another connection, for that negative errno. Said once in a while. */
void log_crowd(struct supervisor *supervisor, int error);
/* Gives the worker the record's new file. */
void log_tell(struct supervisor *supervisor, struct crew *crew);
/* Of a uid that connects too often: its connections wait, or are refused. */
void log_pace(struct supervisor *supervisor, const struct pace_news *news);
/* What was moved away (logrotate(8)) is let go of. Where there is no other to be had, it is kept. */
void log_reopen(struct supervisor *supervisor);

#endif
