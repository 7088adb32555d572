/* SPDX-License-Identifier: MIT */
/*
 * heartbeat.h: when to ask the worker whether it still serves, and when it has not answered for too long. Keeps
 * the time alone: who asks, and what becomes of a worker that is silent, is the supervisor's.
 */
#ifndef BROKER_HEARTBEAT_H
#define BROKER_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

/* ms between an answer and the next question, and that the worker has for an answer. */
#define HEARTBEAT_PAUSE	   5000
#define HEARTBEAT_PATIENCE 10000

struct heartbeat {
	int64_t pause, patience; /* ms */
	int64_t due;   /* ms of CLOCK_MONOTONIC: when to ask next; 0: there is no worker to ask */
	int64_t since; /* when it was first to be asked what it has not answered; 0: nothing */
	bool asked;    /* the question has found room on the channel */
};

enum heartbeat_act { HEARTBEAT_NONE, HEARTBEAT_ASK, HEARTBEAT_LATE };

/* A worker serves from now on. `watchdog` (ms, 0: none) makes the times above shorter, never longer. */
void heartbeat_start(struct heartbeat *heartbeat, int64_t watchdog, int64_t now);
void heartbeat_stop(struct heartbeat *heartbeat);

/* What is to be done: ask the worker, and if that worked call heartbeat_asked; or give it up. */
enum heartbeat_act heartbeat_turn(struct heartbeat *heartbeat, int64_t now);
void heartbeat_asked(struct heartbeat *heartbeat);

/* It has answered. False where it had not been asked. */
bool heartbeat_answered(struct heartbeat *heartbeat, int64_t now);

/* In how many ms there is something to do, -1 for never. */
int heartbeat_wait(const struct heartbeat *heartbeat, int64_t now);

#endif
