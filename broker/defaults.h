/* SPDX-License-Identifier: MIT */
/*
 * defaults.h: what one uid may have where the policy says nothing. A normal program never meets these numbers;
 * they are there so that no uid alone can use up what all have together.
 */
#ifndef BROKER_DEFAULTS_H
#define BROKER_DEFAULTS_H

/* Connections: a hundred programs of one user, and a hundredth of the descriptors that a worker often has (20,000). */
#define DEFAULT_CONNECTIONS 256

/*
 * Connections made a second, saved up for one second, and those that wait at once where they come faster. A program
 * takes a millisecond to start; whoever connects more often could keep the connection.
 */
#define DEFAULT_CONNECTS 1000
#define DEFAULT_WAITING	 64

/*
 * Requests a second, and saved up. Above what a whole worker answers: whoever asks without a pause is slowed down by
 * taking turns, and refusing it would break a backup that opens one small file after the other. It is here
 * for policies to lower.
 */
#define DEFAULT_RATE  1000000
#define DEFAULT_BURST 1000000

/*
 * Opens in flight: those that may block and were handed to the lane, waiting in its line among them. More than a
 * program's threads wait for at once. How many of them have a thread at a time the lane bounds itself (lane.h).
 */
#define DEFAULT_OPENS 64

/*
 * Descriptors that were sent and not yet received. The kernel counts them for all sockets of the worker's uid
 * together and allows as many as its RLIMIT_NOFILE (unix(7), ETOOMANYREFS). Two full batches of 250 fit, and
 * it takes nearly forty uids to fill 20,000.
 */
#define DEFAULT_DESCRIPTORS 512

/* Bytes of replies that wait in the worker for the client to make room: 16 of the largest. */
#define DEFAULT_BYTES 1048576

#endif
