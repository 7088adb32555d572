/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h: the process that keeps the privileges. Owns the listening sockets, accepts clients and keeps copies of
 * their sockets, starts the worker and its maker and starts them again. It reads no policy and not one byte that a
 * client sends.
 */
#ifndef BROKER_SUPERVISOR_H
#define BROKER_SUPERVISOR_H

#include "inherit.h"
#include "options.h"

/*
 * Runs until SIGTERM or SIGINT. `argv` is the command line, for the worker. Returns the exit
 * status: 0, or 1 with a line on standard error (from here or from the worker) when it could not
 * start.
 */
int supervisor_run(const struct options *options, const struct inherited *inherited, int argc,
	char **argv, int log);

#endif
