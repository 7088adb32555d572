/* SPDX-License-Identifier: MIT */
/*
 * statistics.h: what there was, in numbers, for `status`.
 *
 * Each thread counts into a struct of its own, without waiting for anybody; whoever is asked adds them up, while
 * they go on counting.
 */
#ifndef BROKER_STATISTICS_H
#define BROKER_STATISTICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum statistics_result { STATISTICS_ALLOW, STATISTICS_DENY, STATISTICS_ERROR, STATISTICS_RESULTS };

/* Limits that somebody ran into. */
enum statistics_limit {
	STATISTICS_CONNECTIONS,
	STATISTICS_OPENS,
	STATISTICS_DESCRIPTORS,
	STATISTICS_BYTES,
	STATISTICS_RATE,
	STATISTICS_LIMITS
};

/* Operations by their number (fdbroker-protocol.h); 0 stands for what is none. */
#define STATISTICS_OPERATIONS 22
/* Those of the histogram that have an end; one more has none. */
#define STATISTICS_BUCKETS 15

/* All zeroes to begin with. */
struct statistics {
	_Atomic uint64_t requests[STATISTICS_OPERATIONS][STATISTICS_RESULTS];
	_Atomic uint64_t latency[STATISTICS_BUCKETS + 1];
	_Atomic uint64_t nanoseconds; /* in all */
	_Atomic uint64_t limits[STATISTICS_LIMITS];
	_Atomic uint64_t accepted;
	struct statistics *next; /* in the set */
};

/* Those of all threads. */
struct statistics_set {
	pthread_mutex_t mutex; /* of the chain, not of the numbers */
	struct statistics *first;
};

void statistics_begin(struct statistics_set *set);
/* A thread's own come to the set, or leave it, with what they counted. */
void statistics_join(struct statistics_set *set, struct statistics *own);
void statistics_leave(struct statistics_set *set, struct statistics *own);

/* Each is called by the thread whose `own` it is. */
void statistics_request(struct statistics *own, unsigned int operation,
	enum statistics_result result, int64_t nanoseconds);
void statistics_limit(struct statistics *own, enum statistics_limit limit);
void statistics_accept(struct statistics *own);

/*
 * Writes the sums over the set as text, lines "NAME VALUE", cut to `size` bytes with the
 * NUL. Returns its length.
 */
size_t statistics_print(struct statistics_set *set, char *text, size_t size);

#endif
