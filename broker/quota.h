/* SPDX-License-Identifier: MIT */
/*
 * quota.h: how much of the broker one uid may have. Counts connections; every one that is taken is given back.
 */
#ifndef BROKER_QUOTA_H
#define BROKER_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Connections of one uid, where the policy says nothing. Each can leave some forty descriptors unread, which
 * count against the worker's limit of descriptors: so no uid alone can use it up.
 */
#define QUOTA_CONNECTIONS 256

struct quota;

/* NULL where memory is short. */
struct quota *quota_new(void);
/* All must have been given back. */
void quota_free(struct quota *quota);

/*
 * Counts one more connection of `uid`, if it has fewer than `most`. 0, -ENOMEM, or -EDQUOT, with *first telling
 * whether it is the first time since one was given back. Any thread may call these.
 */
int quota_take(struct quota *quota, uid_t uid, uint32_t most, bool *first);
void quota_give_back(struct quota *quota, uid_t uid);

#endif
