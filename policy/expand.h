/* SPDX-License-Identifier: MIT */
/*
 * expand.h: from one word to the patterns it stands for: braces and defines.
 */
#ifndef POLICY_EXPAND_H
#define POLICY_EXPAND_H

#include "table.h"
#include "word.h"

/* What a rule, and what a define, may expand to. */
#define EXPAND_MAX 1000u
/* Bytes that a word with braces or defines may become, and all words of a policy together. */
#define EXPAND_WORD_MAX	 (4096u + 16u) /* a path, and the scheme of an address */
#define EXPAND_TOTAL_MAX (1u << 25)

struct define {
	char *name;
	struct place place;
	struct atoms *values; /* expanded already: no brace and no define is left in them */
	size_t count, capacity;
};

struct defines {
	struct define *list;
	size_t count, capacity;
	struct table names; /* to number + 1 */
	size_t spent;	    /* of EXPAND_TOTAL_MAX */
};

void defines_free(struct defines *defines);

/* Who gets the results. The atoms live until `each` returns; anything but 0 ends the expansion. */
struct expand_target {
	int (*each)(void *context, const struct atom *atoms, size_t count);
	void *context;
};

/*
 * Calls the target for every pattern that `atoms` stand for, at most *budget times, which is
 * counted down. Returns 0, what the target returned, -E2BIG where the budget is spent, -EFBIG where a
 * result is longer than EXPAND_WORD_MAX, -ENOSPC where EXPAND_TOTAL_MAX is spent (nothing is
 * reported), or -ENOMEM.
 */
int expand(const struct atoms *atoms, struct defines *defines, size_t *budget,
	const struct expand_target *target);
/* What one of the last two says; NULL for any other status. Static. */
const char *expand_error(int status);

#endif
