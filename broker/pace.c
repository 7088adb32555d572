/* SPDX-License-Identifier: MIT */
#include "pace.h"

#include <stddef.h>
#include <stdlib.h>

#define CHAINS 256

struct caller {
	uid_t uid;
	uint64_t paid; /* when the last of its connections is paid for: all are saved up again */
	uint64_t told; /* when it may be told of again */
	uint32_t refusals;
	struct caller *next;
};

struct pace {
	uint64_t interval, saved, patience; /* ns */
	struct caller *chains[CHAINS];
};

struct pace *pace_new(uint32_t rate, uint32_t waiting)
{
	struct pace *pace = calloc(1, sizeof(*pace));

	if (pace) {
		pace->interval = UINT64_C(1000000000) / rate;
		pace->saved = rate * pace->interval;
		pace->patience = waiting * pace->interval;
	}
	return pace;
}

/* Nothing needs to be known of it any more. */
static bool is_over(const struct caller *caller, uint64_t now)
{
	return caller->paid <= now && caller->told <= now;
}

/* The uid's entry, made where there is none; NULL without memory. Removes what is over on the way. */
static struct caller *find(struct pace *pace, uid_t uid, uint64_t now)
{
	struct caller **link = &pace->chains[uid % CHAINS], *found = NULL;

	while (*link) {
		struct caller *caller = *link;
		if (caller->uid == uid) {
			found = caller;
		} else if (is_over(caller, now)) {
			*link = caller->next;
			free(caller);
			continue;
		}
		link = &caller->next;
	}
	if (found)
		return found;
	found = calloc(1, sizeof(*found));
	if (found) {
		found->uid = uid;
		*link = found;
	}
	return found;
}

void pace_take(struct pace *pace, uid_t uid, uint64_t now, struct pace_answer *answer)
{
	struct caller *caller = find(pace, uid, now);

	*answer = (struct pace_answer){0};
	if (!caller)
		return;
	uint64_t from = caller->paid > now ? caller->paid : now;
	uint64_t debt = from + pace->interval - now;
	if (debt > pace->saved)
		answer->wait = debt - pace->saved;
	answer->refused = answer->wait > pace->patience;
	if (answer->refused) {
		answer->wait = 0;
		caller->refusals++;
	} else {
		caller->paid = from + pace->interval;
	}
	if ((answer->wait || answer->refused) && caller->told <= now) {
		answer->tell = true;
		answer->refusals = caller->refusals;
		caller->refusals = 0;
		caller->told = now + PACE_TELL;
	}
}

void pace_free(struct pace *pace)
{
	if (!pace)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		while (pace->chains[i]) {
			struct caller *caller = pace->chains[i];
			pace->chains[i] = caller->next;
			free(caller);
		}
	free(pace);
}
