/* SPDX-License-Identifier: MIT */
#include "bucket.h"

#define SECOND 1000000000u

/*
 * ns. A time that lies less than this before the last one was read earlier, by another thread: what was added
 * up to the last one is not added again. One that lies further back is of a clock that was set, and nothing is
 * to wait for the old one to come again.
 */
#define CLOCK_BEHIND SECOND

/* At most 2^32 * 10^9: this fits, and so does every sum of it and what is missing. */
static uint64_t capacity(const struct bucket *bucket)
{
	return (uint64_t)bucket->burst * SECOND;
}

void bucket_init(struct bucket *bucket, uint32_t rate, uint32_t burst, uint64_t now)
{
	*bucket = (struct bucket){.rate = rate, .burst = burst, .last = now};
	bucket->level = capacity(bucket);
}

static void refill(struct bucket *bucket, uint64_t now)
{
	uint64_t missing = capacity(bucket) - bucket->level, gain;

	if (now < bucket->last) {
		if (bucket->last - now > CLOCK_BEHIND)
			bucket->last = now;
		return;
	}
	if (__builtin_mul_overflow(now - bucket->last, bucket->rate, &gain) || gain > missing)
		gain = missing;
	bucket->level += gain;
	bucket->last = now;
}

bool bucket_take(struct bucket *bucket, uint64_t now)
{
	refill(bucket, now);
	if (bucket->level < SECOND)
		return false;
	bucket->level -= SECOND;
	return true;
}

uint32_t bucket_tokens(struct bucket *bucket, uint64_t now)
{
	refill(bucket, now);
	return (uint32_t)(bucket->level / SECOND);
}

uint64_t bucket_wait(struct bucket *bucket, uint64_t now)
{
	refill(bucket, now);
	if (bucket->level >= SECOND)
		return 0;
	if (!bucket->rate || !bucket->burst)
		return BUCKET_NEVER;
	/* Before `last` nothing is added. */
	uint64_t behind = bucket->last > now ? bucket->last - now : 0;
	return behind + (SECOND - bucket->level + bucket->rate - 1) / bucket->rate;
}
