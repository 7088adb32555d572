/* SPDX-License-Identifier: MIT */
/*
 * limit.c: `limit`: how much of the broker a uid, or all callers of a subject together, may take
 * up.
 */
#include "compile.h"

#include <errno.h>
#include <string.h>

static const struct limit_name {
	const char *name;
	size_t offset;
} names[] = {
	{"connections", offsetof(struct policy_limits, connections)},
	{"rate", offsetof(struct policy_limits, rate)},
	{"opens", offsetof(struct policy_limits, opens)},
	{"descriptors", offsetof(struct policy_limits, descriptors)},
};

#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

static uint32_t *limit_field(struct policy_limits *limits, size_t name)
{
	return (uint32_t *)(void *)((char *)limits + names[name].offset);
}

static int find_name(struct compiler *compiler, const struct statement *statement, size_t *name)
{
	const struct word *word = &statement->words[1];
	struct suggest suggest;
	char hint[SUGGEST_BUFFER];

	suggest_init(&suggest, word->text, word->length);
	for (*name = 0; *name < NAME_COUNT; ++*name) {
		if (word_is(word, names[*name].name))
			return 0;
		suggest_try(&suggest, names[*name].name);
	}
	return compile_error(compiler, statement, 1,
		suggest.best ? suggest_hint(&suggest, hint)
			     : "there are connections, rate, opens and descriptors",
		"unknown limit '%.*s'", (int)word->length, word->text);
}

/* A number from 1, with or without "/s". */
static int read_number(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool per_second, uint32_t *value)
{
	const struct word *text = &statement->words[word];
	size_t length = text->length;
	uint64_t number;

	if (per_second) {
		if (length < 2 || memcmp(text->text + length - 2, "/s", 2) != 0)
			return compile_error(compiler, statement, word,
				"for example 'limit rate 1000/s'", "a rate is a number a second");
		length -= 2;
	}
	if (!compile_number(text->text, length, UINT32_MAX - 1, &number))
		return compile_error(compiler, statement, word, "a number, or 'none'",
			"'%.*s' is no number", (int)text->length, text->text);
	if (number == 0)
		return compile_error(compiler, statement, word, "to allow nothing, write no allow",
			"a limit of 0");
	*value = (uint32_t)number;
	return 0;
}

int compile_limit(struct compiler *compiler, const struct statement *statement)
{
	struct subject *subject = &compiler->policy->subjects[compiler->subject];
	struct policy_limits *limits = &subject->limits;
	uint32_t value = POLICY_LIMIT_NONE, burst = POLICY_LIMIT_UNSAID, next = 3, *field;
	size_t name;
	int status = find_name(compiler, statement, &name);
	bool is_rate = status == 0 && names[name].offset == offsetof(struct policy_limits, rate);

	if (status)
		return status;
	if (!word_is(&statement->words[2], "none"))
		status = read_number(compiler, statement, 2, is_rate, &value);
	if (status)
		return status;
	if (next < statement->count && is_rate && word_is(&statement->words[next], "burst")) {
		if (next + 1 == statement->count)
			return compile_error(compiler, statement, next,
				"for example 'limit rate 1000/s burst 200'",
				"something is missing behind 'burst'");
		if (value == POLICY_LIMIT_NONE)
			return compile_error(compiler, statement, next, NULL,
				"'burst' has no meaning without a rate");
		status = read_number(compiler, statement, next + 1, false, &burst);
		if (status)
			return status;
		next += 2;
	} else if (next < statement->count && !is_rate &&
		   word_is(&statement->words[next], "total")) {
		limits = &subject->totals;
		next++;
	}
	if (next < statement->count)
		return compile_error(compiler, statement, next,
			is_rate ? "limit rate NUMBER/s [burst NUMBER]"
				: "limit KIND NUMBER|none [total]",
			"unknown word '%.*s'", (int)statement->words[next].length,
			statement->words[next].text);
	field = limit_field(limits, name);
	if (*field != POLICY_LIMIT_UNSAID)
		return compile_error(compiler, statement, 1, NULL, "the limit '%s' is there twice",
			names[name].name);
	*field = value;
	if (is_rate)
		limits->burst = burst;
	return 0;
}

void policy_caller_limits(const struct policy_caller *caller, struct policy_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	for (size_t i = 0; i < caller->subject_count; i++) {
		struct policy_limits one = caller->policy->subjects[caller->subjects[i]].limits;

		for (size_t j = 0; j < NAME_COUNT; j++) {
			uint32_t *least = limit_field(limits, j), said = *limit_field(&one, j);

			if (said != POLICY_LIMIT_UNSAID &&
				(*least == POLICY_LIMIT_UNSAID || said < *least))
				*least = said;
		}
		if (one.burst && (!limits->burst || one.burst < limits->burst))
			limits->burst = one.burst;
	}
}

const struct policy_limits *policy_caller_totals(
	const struct policy_caller *caller, size_t i, uint32_t *subject)
{
	*subject = caller->subjects[i];
	return &caller->policy->subjects[caller->subjects[i]].totals;
}
