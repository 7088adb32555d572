/* SPDX-License-Identifier: MIT */
/*
 * suggest.c: the nearest of some candidates by edit distance (optimal string alignment: a swap of
 * neighbours counts as one). A candidate further away than a third of the word says more about the
 * candidates than about the word, and is kept to itself.
 */
#include "suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40u

void suggest_init(struct suggest *suggest, const char *word, size_t length)
{
	suggest->word = word;
	suggest->length = length;
	suggest->best = NULL;
	suggest->distance = length / 3 + 1;
	if (suggest->distance > 3)
		suggest->distance = 3;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, size_t m, const char *b, size_t n)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t cost = a[i - 1] != b[j - 1];

			now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[n];
}

void suggest_try(struct suggest *suggest, const char *candidate)
{
	size_t length = strlen(candidate), found;

	if (length > WORD_MAX || suggest->length > WORD_MAX)
		return;
	found = distance(suggest->word, suggest->length, candidate, length);
	/* Of equals the first stays; what shares nothing with the word is no help. */
	if (found >= length || found > suggest->distance ||
		(suggest->best && found == suggest->distance))
		return;
	suggest->best = candidate;
	suggest->distance = found;
}

const char *suggest_hint(const struct suggest *suggest, char buffer[SUGGEST_BUFFER])
{
	if (!suggest->best)
		return NULL;
	snprintf(buffer, SUGGEST_BUFFER, "did you mean '%s'?", suggest->best);
	return buffer;
}
