/* SPDX-License-Identifier: MIT */
#include "sums.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* One kind of one uid's. */
struct kind {
	struct sums_kind kind;
	uint32_t written;
	uint64_t repeated;
};

/* A uid that was denied something within its window. */
struct denied {
	uid_t uid;
	int64_t end; /* of the window; 0: free */
	size_t bytes;
	unsigned int kind_count;
	struct kind kinds[SUMS_KINDS];
	uint64_t others; /* beyond these kinds or bytes */
};

struct sums {
	pthread_mutex_t mutex;
	_Atomic int64_t due;
	struct denied uids[SUMS_UIDS];
	struct denied everybody; /* uses `end` and `others` */
	struct denied own;	 /* the daemon's */
};

struct sums *sums_new(void)
{
	struct sums *sums = calloc(1, sizeof(*sums));

	if (!sums)
		return NULL;
	pthread_mutex_init(&sums->mutex, NULL);
	atomic_init(&sums->due, INT64_MAX);
	sums->everybody.uid = SUMS_EVERYBODY;
	return sums;
}

void sums_free(struct sums *sums)
{
	if (!sums)
		return;
	pthread_mutex_destroy(&sums->mutex);
	free(sums);
}

/* Whether there is anything of it to tell. */
static bool waits(const struct denied *denied)
{
	bool any = denied->others;

	for (unsigned int i = 0; i < denied->kind_count; i++)
		any = any || denied->kinds[i].repeated;
	return any;
}

/* What is over and has been told begins anew. */
static struct denied *find_own(struct sums *sums, int64_t now)
{
	struct denied *own = &sums->own;

	if (own->end <= now && !waits(own))
		*own = (struct denied){.uid = SUMS_EVERYBODY, .end = now + SUMS_WINDOW};
	return own;
}

/* Its place in the table: its own, or one that is free, or one whose time is over and that has nothing to tell.
 * NULL where there is none. */
static struct denied *find_uid(struct sums *sums, int64_t now, uid_t uid)
{
	struct denied *place = NULL;

	for (unsigned int i = 0; i < SUMS_UIDS; i++) {
		struct denied *denied = &sums->uids[i];
		bool over = denied->end <= now && !waits(denied);

		if (denied->end && denied->uid == uid && !over)
			return denied;
		if (over && !place)
			place = denied;
	}
	if (place)
		*place = (struct denied){.uid = uid, .end = now + SUMS_WINDOW};
	return place;
}

static bool same_kind(const struct sums_kind *a, const struct sums_kind *b)
{
	return a->own == b->own && a->denied == b->denied && a->error == b->error &&
	       a->rights == b->rights && a->rule == b->rule && a->reason == b->reason;
}

/* NULL where the uid has too many kinds already. */
static struct kind *find_kind(struct denied *denied, const struct sums_kind *kind)
{
	for (unsigned int i = 0; i < denied->kind_count; i++)
		if (same_kind(&denied->kinds[i].kind, kind))
			return &denied->kinds[i];
	if (denied->kind_count == SUMS_KINDS)
		return NULL;
	struct kind *fresh = &denied->kinds[denied->kind_count++];
	*fresh = (struct kind){.kind = *kind};
	return fresh;
}

static void count(struct sums *sums, const struct denied *denied, uint64_t *number)
{
	++*number;
	if (denied->end < atomic_load_explicit(&sums->due, memory_order_relaxed))
		atomic_store_explicit(&sums->due, denied->end, memory_order_relaxed);
}

static bool admit(
	struct sums *sums, int64_t now, uid_t uid, const struct sums_kind *kind, size_t bytes)
{
	struct denied *denied = kind->own ? find_own(sums, now) : find_uid(sums, now, uid);

	if (!denied) {
		struct denied *everybody = &sums->everybody;
		if (!everybody->others)
			everybody->end = now + SUMS_WINDOW;
		count(sums, everybody, &everybody->others);
		return false;
	}
	struct kind *found = find_kind(denied, kind);
	if (!found) {
		count(sums, denied, &denied->others);
		return false;
	}
	/* The first line of a uid is written whatever its length. */
	if (found->written < SUMS_FIRST &&
		(!denied->bytes || denied->bytes + bytes <= SUMS_BYTES)) {
		found->written++;
		denied->bytes += bytes;
		return true;
	}
	count(sums, denied, &found->repeated);
	return false;
}

bool sums_admit(
	struct sums *sums, int64_t now, uid_t uid, const struct sums_kind *kind, size_t bytes)
{
	pthread_mutex_lock(&sums->mutex);
	bool admitted = admit(sums, now, uid, kind, bytes);
	pthread_mutex_unlock(&sums->mutex);
	return admitted;
}

int64_t sums_due(const struct sums *sums)
{
	return atomic_load_explicit(&sums->due, memory_order_relaxed);
}

/* Takes one number of what is over. */
static bool take(struct denied *denied, bool own, int64_t now, struct sums_total *total)
{
	uint64_t *number = NULL;

	if (denied->end > now)
		return false;
	*total = (struct sums_total){.uid = denied->uid};
	for (unsigned int i = 0; i < denied->kind_count && !number; i++) {
		if (!denied->kinds[i].repeated)
			continue;
		number = &denied->kinds[i].repeated;
		total->kind = denied->kinds[i].kind;
	}
	if (!number && denied->others) {
		number = &denied->others;
		total->kind.own = own;
	}
	if (!number)
		return false;
	total->repeated = *number;
	*number = 0;
	return true;
}

static bool take_any(struct sums *sums, int64_t now, struct sums_total *total)
{
	int64_t due = INT64_MAX;

	for (unsigned int i = 0; i < SUMS_UIDS + 2; i++) {
		bool own = i == SUMS_UIDS + 1;
		struct denied *denied = own		? &sums->own
					: i < SUMS_UIDS ? &sums->uids[i]
							: &sums->everybody;

		if (take(denied, own, now, total))
			return true;
		if (waits(denied) && denied->end < due)
			due = denied->end;
	}
	atomic_store_explicit(&sums->due, due, memory_order_relaxed);
	return false;
}

bool sums_take(struct sums *sums, int64_t now, struct sums_total *total)
{
	pthread_mutex_lock(&sums->mutex);
	bool took = take_any(sums, now, total);
	pthread_mutex_unlock(&sums->mutex);
	return took;
}
