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
	uint64_t due;	/* when somebody may be told of who was refused; 0: nobody was */
	uint64_t begun; /* when the lines were counted from 0 */
	uint32_t lines, others;
	struct caller *chains[CHAINS];
};

struct pace *pace_new(uint32_t rate, uint32_t waiting)
{
	struct pace *pace = calloc(1, sizeof(*pace));

	if (pace) {
		pace->interval = UINT64_C(1000000000) / rate;
		pace->saved = rate * pace->interval;
		pace->patience = waiting * pace->interval;
		if (pace->patience > PACE_PATIENCE)
			pace->patience = PACE_PATIENCE;
	}
	return pace;
}

/* Nothing needs to be known of it any more. */
static bool is_over(const struct caller *caller, uint64_t now)
{
	return caller->paid <= now && caller->told <= now && !caller->refusals;
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

/* Whether it is time to tell of it. What no line is left for is counted, and over. */
static bool tell(struct pace *pace, struct caller *caller, uint64_t now, struct pace_news *news)
{
	if (caller->told > now) {
		if (caller->refusals && (!pace->due || caller->told < pace->due))
			pace->due = caller->told;
		return false;
	}
	if (now - pace->begun >= PACE_TELL) {
		pace->begun = now;
		pace->lines = 0;
	}
	*news = (struct pace_news){
		.uid = caller->uid,
		.refusals = caller->refusals,
		.others = pace->others,
	};
	caller->refusals = 0;
	caller->told = now + PACE_TELL;
	if (pace->lines == PACE_LINES) {
		pace->others++;
		return false;
	}
	pace->lines++;
	pace->others = 0;
	return true;
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
	if (answer->wait || answer->refused)
		answer->tell = tell(pace, caller, now, &answer->news);
}

bool pace_next(struct pace *pace, uint64_t now, struct pace_news *news)
{
	uint64_t due = 0;

	if (!pace->due || pace->due > now)
		return false;
	for (size_t i = 0; i < CHAINS; i++)
		for (struct caller *caller = pace->chains[i]; caller; caller = caller->next) {
			if (!caller->refusals)
				continue;
			if (tell(pace, caller, now, news))
				return true;
			if (caller->refusals && (!due || caller->told < due))
				due = caller->told;
		}
	pace->due = due;
	return false;
}

uint64_t pace_due(const struct pace *pace)
{
	return pace->due;
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
