/* SPDX-License-Identifier: MIT */
/*
 * suggest.h: "did you mean 'read'?"
 */
#ifndef POLICY_SUGGEST_H
#define POLICY_SUGGEST_H

#include <stddef.h>

#define SUGGEST_BUFFER 96

struct suggest {
	const char *word;
	size_t length;
	const char *best; /* of the candidates so far; NULL where none is near */
	size_t distance;
};

void suggest_init(struct suggest *suggest, const char *word, size_t length);
void suggest_try(struct suggest *suggest, const char *candidate);
/* Writes the hint into `buffer` and returns it; NULL where nothing is near enough to help. */
const char *suggest_hint(const struct suggest *suggest, char buffer[SUGGEST_BUFFER]);

#endif
