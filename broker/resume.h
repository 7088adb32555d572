/* SPDX-License-Identifier: MIT */
/*
 * resume.h: the supervisor executes its program anew and goes on, as the same process, with its sockets, its clients and
 * the worker that serves: so that an upgrade of the supervisor costs no connection.
 *
 * What it knows goes through a sealed piece of memory, whose descriptor is named on the command line (--resume), and
 * what it has open is open afterwards under the same numbers. Once it has executed another program there is no
 * way back. So first a child executes that, with the same command line and the same memory (--resume-check), and says by its
 * exit status whether it could go on: with a program that is not there, that is none, that does not know the
 * memory's form or no longer takes the command line, the supervisor goes on as it was.
 */
#ifndef BROKER_RESUME_H
#define BROKER_RESUME_H

#include "clients.h"
#include "crew.h"
#include "reloads.h"
#include "sockets.h"
#include "vitals.h"

/* What goes along. All of it is the supervisor's; it is written, or read into. */
struct resume {
	char *program; /* PATH_MAX bytes */
	char *started; /* CLOCK_STAMP bytes */
	int *log, *snapshot;
	bool *served;
	int *backoff;
	int64_t *pause;
	struct sockets *sockets;
	struct clients *clients;
	struct reloads *reloads;
	struct crew *serving;
	struct vitals *vitals;
};

/* Starts the child that tries. Its pid, or a negative errno. */
pid_t resume_try(const struct resume *resume, const struct crew_program *program);

/* In it: whether this program could go on from there. The exit status. */
int resume_check(int file);

/* Why the child's wait status means that it could not, or NULL: static. */
const char *resume_refused(int status);

/* Executes the program. Returns only where that fails: a negative errno, and all is as it was. */
int resume_execute(const struct resume *resume, const struct crew_program *program);

/* Reads all of it, and closes `file`. 0, or a negative errno, and then there is nothing to go on with. */
int resume_read(int file, const struct resume *resume);

#endif
