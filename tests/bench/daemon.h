/* SPDX-License-Identifier: MIT */
/* daemon.h: a real fdbrokerd for as long as a benchmark runs. */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include <sys/types.h>

struct daemon {
	pid_t pid;
	int log;	  /* its standard error */
	char line[4096];  /* the last line of it that was read; why it did not start */
	char address[64]; /* where it listens */
};

/*
 * Starts `program` on the policy file `policy` and waits until it is ready, at most ten seconds. It
 * and its children run where the caller runs (sched_setaffinity(2)). Returns 0, or -1 with the
 * reason in `line`; then nothing is left running.
 */
int daemon_start(struct daemon *broker, const char *program, const char *policy);

/* Ends it, by force if it does not end within five seconds. Returns its wait status, or -1. */
int daemon_stop(struct daemon *broker);

#endif
