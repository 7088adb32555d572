/* SPDX-License-Identifier: MIT */
/*
 * maker.h: the process that makes the views for one worker, opens devices for it and finds out about its clients'
 * processes. It has the privileges, and hears only the worker, in messages of fixed form: it reads no policy and not
 * one byte that a client sends.
 *
 * All it does for the worker may hang on a file system, so each question has a thread to itself, and those about
 * one mount have only a few at once; others wait in line, for as long as the worker waits. A thread that hangs in the kernel hangs until the file system answers, and keeps this process from ending: which nobody waits for.
 */
#ifndef BROKER_MAKER_H
#define BROKER_MAKER_H

#include "options.h"

/* Runs until the worker at the other end of `channel` is gone or says what no worker says. The exit status. */
int maker_run(const struct options *options, int channel);

#endif
