/* SPDX-License-Identifier: MIT */
/*
 * crew.h: a worker with its maker, as the supervisor sees them: started together, ended together.
 */
#ifndef BROKER_CREW_H
#define BROKER_CREW_H

#include "channel.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How a worker and a maker are started: this program, anew. */
struct crew_program {
	const char *path;
	int argc;
	char **argv;
	int vouched;	     /* what the maker is given (vouch.h) */
	const char *started; /* when the daemon was (RFC 3339), for the worker to tell */
};

/* What a worker that loads may have to say, in bytes. */
#define CREW_REPORT_MAX CHANNEL_TEXT_MAX

struct crew {
	pid_t worker; /* 0 where there is none; then there is no maker either */
	pid_t maker;
	/*
	 * A pidfd of a thread of the worker's that does nothing but end with the process: readable when it has. The
	 * process itself ends only when all threads have, and one that hangs in a file system ends when that answers:
	 * until then waitpid(2) does not tell, and the channel, which is all threads', stays open. -1 where the kernel
	 * cannot tell (before 6.9): then the heartbeat does, later.
	 */
	int sentinel;
	bool untold;	   /* it is yet to get the record's new file */
	int channel;	   /* to the worker; -1 once it has been given up */
	bool ready;	   /* it is confined, and serves or could */
	int snapshot;	   /* what it handed over then, for the next one in its place; -1 */
	char summary[256]; /* what it said then */
	char report[CREW_REPORT_MAX + 1]; /* what it said before, lines */
};

/* An empty one. */
void crew_init(struct crew *crew);

/* Makes it empty again, after its worker has ended or been given up. */
void crew_clear(struct crew *crew);

/*
 * Starts both. `snapshot` is what the worker reads in place of the policy (snapshot.h), and stays the caller's; -1: the
 * files. 0, or a negative errno, and then there are none.
 */
int crew_start(struct crew *crew, const struct crew_program *program, int snapshot);

/* Kills both and hears no more of them. They may hang in the kernel, and survive this for as long as it pleases. */
void crew_kill(struct crew *crew);

/*
 * A child of that pid has ended. True: it was the worker, and the crew is to be cleared. One that loses its maker is
 * killed.
 */
bool crew_ended(struct crew *crew, pid_t pid);

/* Writes or reads all of it but the snapshot (state.h). */
void crew_transfer(struct crew *crew, struct state *state);

/* The worker names its sentinel. It harms itself alone where it names another. */
void crew_watch(struct crew *crew, pid_t thread);

/* Whether the worker serves nobody any more, although its process is still there. */
bool crew_is_dead(const struct crew *crew);

/* Adds a line to the report, as far as there is room. */
void crew_report(struct crew *crew, const char *line);

#endif
