/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct account {
	struct account *next;
	uid_t uid;
	uint32_t connections; /* never 0: then the account is closed */
	bool refused;	      /* it has been full since it last gave one back */
};

#define BUCKETS 1024

struct quota {
	pthread_mutex_t mutex;
	struct account *buckets[BUCKETS];
};

struct quota *quota_new(void)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	if (quota)
		pthread_mutex_init(&quota->mutex, NULL);
	return quota;
}

void quota_free(struct quota *quota)
{
	if (!quota)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		assert(!quota->buckets[i]);
	pthread_mutex_destroy(&quota->mutex);
	free(quota);
}

/* Where the account of `uid` is, or would be, linked. */
static struct account **find(struct quota *quota, uid_t uid)
{
	/* Knuth's multiplicative hash: uids come in ranges. */
	struct account **link = &quota->buckets[(uid * 2654435761u) >> 22];

	while (*link && (*link)->uid != uid)
		link = &(*link)->next;
	return link;
}

static int take(struct quota *quota, uid_t uid, uint32_t most, bool *first)
{
	struct account **link = find(quota, uid);

	*first = true;
	if (*link && (*link)->connections >= most) {
		*first = !(*link)->refused;
		(*link)->refused = true;
		return -EDQUOT;
	}
	if (!*link) {
		if (most == 0)
			return -EDQUOT;
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return -ENOMEM;
		(*link)->uid = uid;
	}
	(*link)->connections++;
	return 0;
}

int quota_take(struct quota *quota, uid_t uid, uint32_t most, bool *first)
{
	pthread_mutex_lock(&quota->mutex);
	int error = take(quota, uid, most, first);
	pthread_mutex_unlock(&quota->mutex);
	return error;
}

void quota_give_back(struct quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->mutex);
	struct account **link = find(quota, uid);
	struct account *account = *link;

	assert(account && account->connections);
	if (--account->connections == 0) {
		*link = account->next;
		free(account);
	} else {
		account->refused = false;
	}
	pthread_mutex_unlock(&quota->mutex);
}
