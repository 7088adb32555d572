/* SPDX-License-Identifier: MIT */
/*
 * worker.h: the process that hears from clients. Loads the policy, has its views made, gives up
 * everything else, and serves until it is told to stop.
 */
#ifndef BROKER_WORKER_H
#define BROKER_WORKER_H

#include "options.h"

/*
 * Runs a worker whose channel to the supervisor is options->worker, to its end. Returns the exit
 * status: 0 told to stop or the supervisor is gone, 1 with one line on standard error.
 */
int worker_run(const struct options *options, int log);

#endif
