/* SPDX-License-Identifier: MIT */
#include "quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct account {
	struct account *next;
	uid_t uid;
	uint32_t connections; /* never 0: then the account is closed */
};

#define BUCKETS 1024

struct quota {
	struct account *buckets[BUCKETS];
};

struct quota *quota_new(void)
{
	return calloc(1, sizeof(struct quota));
}

void quota_free(struct quota *quota)
{
	if (!quota)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		assert(!quota->buckets[i]);
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

int quota_take(struct quota *quota, uid_t uid, uint32_t most)
{
	struct account **link = find(quota, uid);

	if (*link && (*link)->connections >= most)
		return -EDQUOT;
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

void quota_give_back(struct quota *quota, uid_t uid)
{
	struct account **link = find(quota, uid);
	struct account *account = *link;

	assert(account && account->connections);
	if (--account->connections == 0) {
		*link = account->next;
		free(account);
	}
}
