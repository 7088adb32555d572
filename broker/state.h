/* SPDX-License-Identifier: MIT */
/*
 * state.h: values in a row, written by one process and read by the one that it becomes by execve(2). The same
 * functions write and read, so that both have the same order.
 *
 * An error stays: after it nothing more is written, and what is read is 0, empty or -1.
 */
#ifndef BROKER_STATE_H
#define BROKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state {
	bool reads;
	bool inherit; /* descriptors that are written survive execve(2) from then on */
	char *bytes;
	size_t length, room, at;
	int error; /* negative errno: -EPROTO where what is read is nothing of this kind */
};

/* To be written to. */
void state_begin(struct state *state, bool inherit);
/* To be read from: what state_finish has made. */
void state_open(struct state *state, int file);

void state_number(struct state *state, int64_t *number);
/* A descriptor, or -1. */
void state_descriptor(struct state *state, int *descriptor);
/* A text with its NUL, in `size` bytes at most. */
void state_text(struct state *state, char *text, size_t size);

/* A variable of any integer type. */
#define state_integer(state, variable)                        \
	do {                                                  \
		int64_t number_ = (int64_t)(variable);        \
		state_number(state, &number_);                \
		(variable) = (__typeof__(variable))(number_); \
	} while (0)

/* All has been written: a descriptor (sealed.h), close-on-exec, or a negative errno. Frees it. */
int state_finish(struct state *state);
/* All has been read. 0 or the error. Frees it. */
int state_done(struct state *state);

#endif
