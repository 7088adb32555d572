/* SPDX-License-Identifier: MIT */
/*
 * bucket.h: a token bucket: `rate` tokens a second, at most `burst` saved. Pure: the caller says what time it
 * is, in nanoseconds of a monotonic clock, and keeps others out meanwhile.
 */
#ifndef BROKER_BUCKET_H
#define BROKER_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint32_t rate, burst;
	uint64_t level; /* in billionths of a token: each nanosecond adds `rate` of them */
	uint64_t last;	/* up to when they were added */
};

/* Any values will do: without a rate it is never filled again, without a burst nothing is in it. */
void bucket_init(struct bucket *bucket, uint32_t rate, uint32_t burst, uint64_t now);

/* Takes a token, if there is one. */
bool bucket_take(struct bucket *bucket, uint64_t now);

/* Whole tokens that are in it. */
uint32_t bucket_tokens(struct bucket *bucket, uint64_t now);

/* Nanoseconds until the next token can be taken; 0: now; BUCKET_NEVER. */
#define BUCKET_NEVER UINT64_MAX
uint64_t bucket_wait(struct bucket *bucket, uint64_t now);

#endif
