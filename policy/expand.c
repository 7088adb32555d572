/* SPDX-License-Identifier: MIT */
/*
 * expand.c: see expand.h.
 *
 * Braces go first, then defines, each by an odometer over the alternatives of a word. The count is
 * known before the first result is made, so that a word of a thousand braces costs nothing but its
 * error.
 */
#include "expand.h"

#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct choice {
	const struct atom *atoms;
	size_t count;
	uint32_t column; /* all atoms get this one; 0: each keeps its own */
};

/* A part of a word: one choice for plain text, several for braces or a define. */
struct part {
	size_t first, count, now;
};

struct odometer {
	struct part *parts;
	size_t part_count, part_capacity;
	struct choice *choices;
	size_t choice_count, choice_capacity;
	struct atoms result;
};

void defines_free(struct defines *defines)
{
	for (size_t i = 0; i < defines->count; i++) {
		struct define *define = &defines->list[i];

		for (size_t j = 0; j < define->count; j++)
			free(define->values[j].atoms);
		free(define->values);
	}
	free(defines->list);
	table_free(&defines->names);
	memset(defines, 0, sizeof(*defines));
}

int define_find(const struct defines *defines, const char *name, size_t length)
{
	const struct table *names = defines ? &defines->names : NULL;

	return names ? (int)table_find(
			       names, 0, name, length, table_name_hash(names, name, length)) -
			       1
		     : -1;
}

void define_suggest(const struct defines *defines, struct suggest *suggest)
{
	for (size_t i = 0; defines && i < defines->count; i++)
		suggest_try(suggest, defines->list[i].name);
}

static void odometer_free(struct odometer *odometer)
{
	free(odometer->parts);
	free(odometer->choices);
	free(odometer->result.atoms);
}

static int part_add(struct odometer *odometer)
{
	if (!array_reserve(&odometer->parts, &odometer->part_capacity, odometer->part_count + 1,
		    sizeof(*odometer->parts)))
		return -ENOMEM;
	odometer->parts[odometer->part_count++] = (struct part){.first = odometer->choice_count};
	return 0;
}

/* Adds a choice to the newest part. */
static int choice_add(
	struct odometer *odometer, const struct atom *atoms, size_t count, uint32_t column)
{
	if (!array_reserve(&odometer->choices, &odometer->choice_capacity,
		    odometer->choice_count + 1, sizeof(*odometer->choices)))
		return -ENOMEM;
	odometer->choices[odometer->choice_count++] = (struct choice){atoms, count, column};
	odometer->parts[odometer->part_count - 1].count++;
	return 0;
}

static int text_add(struct odometer *odometer, const struct atom *atoms, size_t count)
{
	int status;

	if (count == 0)
		return 0;
	status = part_add(odometer);
	return status ? status : choice_add(odometer, atoms, count, 0);
}

static int cut_braces(struct odometer *odometer, const struct atom *atoms, size_t count)
{
	size_t begin = 0;
	int status;

	for (size_t i = 0; i < count; i++) {
		switch (atoms[i].code) {
		case ATOM_BRACE:
			status = text_add(odometer, atoms + begin, i - begin);
			if (status == 0)
				status = part_add(odometer);
			break;
		case ATOM_COMMA:
		case ATOM_BRACE_END:
			status = choice_add(odometer, atoms + begin, i - begin, 0);
			break;
		default:
			continue;
		}
		if (status)
			return status;
		begin = i + 1;
	}
	return text_add(odometer, atoms + begin, count - begin);
}

static int cut_defines(struct odometer *odometer, const struct atom *atoms, size_t count,
	const struct defines *defines)
{
	size_t begin = 0;
	int status;

	for (size_t i = 0; i < count; i++) {
		const struct define *define;

		if (atoms[i].code != ATOM_DEFINE)
			continue;
		define = &defines->list[atoms[i].define];
		status = text_add(odometer, atoms + begin, i - begin);
		if (status == 0)
			status = part_add(odometer);
		for (size_t j = 0; status == 0 && j < define->count; j++)
			status = choice_add(odometer, define->values[j].atoms,
				define->values[j].count, atoms[i].column);
		if (status)
			return status;
		begin = i + 1;
	}
	return text_add(odometer, atoms + begin, count - begin);
}

static int odometer_read(struct odometer *odometer)
{
	struct atoms *result = &odometer->result;

	result->count = 0;
	for (size_t i = 0; i < odometer->part_count; i++) {
		const struct part *part = &odometer->parts[i];
		const struct choice *choice = &odometer->choices[part->first + part->now];

		if (result->count + choice->count > EXPAND_WORD_MAX)
			return -EFBIG;
		if (!array_reserve(&result->atoms, &result->capacity,
			    result->count + choice->count + 1, sizeof(*result->atoms)))
			return -ENOMEM;
		for (size_t j = 0; j < choice->count; j++) {
			struct atom *atom = &result->atoms[result->count++];

			*atom = choice->atoms[j];
			if (choice->column)
				atom->column = choice->column;
		}
	}
	return 0;
}

static bool odometer_advance(struct odometer *odometer)
{
	for (size_t i = odometer->part_count; i-- > 0;) {
		struct part *part = &odometer->parts[i];

		if (++part->now < part->count)
			return true;
		part->now = 0;
	}
	return false;
}

static int odometer_run(
	struct odometer *odometer, size_t budget, const struct expand_target *target)
{
	size_t total = 1;
	int status;

	for (size_t i = 0; i < odometer->part_count; i++) {
		/* A define without a value (its own error is reported) leaves nothing. */
		if (odometer->parts[i].count == 0)
			return 0;
		total *= odometer->parts[i].count;
		if (total > budget)
			return -E2BIG;
	}
	do {
		status = odometer_read(odometer);
		if (status == 0)
			status = target->each(
				target->context, odometer->result.atoms, odometer->result.count);
	} while (status == 0 && odometer_advance(odometer));
	return status;
}

struct second_step {
	struct defines *defines;
	size_t *budget;
	const struct expand_target *target;
};

static int count_down(void *context, const struct atom *atoms, size_t count)
{
	struct second_step *step = context;

	if (*step->budget == 0)
		return -E2BIG;
	--*step->budget;
	/* A pattern costs something even where it is short. */
	step->defines->spent += count + 16;
	if (step->defines->spent > EXPAND_TOTAL_MAX)
		return -ENOSPC;
	return step->target->each(step->target->context, atoms, count);
}

static int expand_defines(void *context, const struct atom *atoms, size_t count)
{
	struct second_step *step = context;
	struct expand_target target = {count_down, step};
	struct odometer odometer = {0};
	int status;

	status = cut_defines(&odometer, atoms, count, step->defines);
	if (status == 0)
		status = odometer_run(&odometer, *step->budget, &target);
	odometer_free(&odometer);
	return status;
}

const char *expand_error(int status)
{
	switch (status) {
	case -EFBIG:
		return "it stands for a path of more than 4095 bytes";
	case -ENOSPC:
		return "the patterns of the policy take up more than 32 MiB";
	default:
		return NULL;
	}
}

int expand(const struct atoms *atoms, struct defines *defines, size_t *budget,
	const struct expand_target *target)
{
	struct second_step step = {defines, budget, target};
	struct expand_target second = {expand_defines, &step};
	struct odometer odometer = {0};
	bool braces = false, names = false;
	int status;

	for (size_t i = 0; i < atoms->count; i++) {
		braces |= atoms->atoms[i].code == ATOM_BRACE;
		names |= atoms->atoms[i].code == ATOM_DEFINE;
	}
	if (!braces && !names)
		return count_down(&step, atoms->atoms, atoms->count);
	if (!braces)
		return expand_defines(&step, atoms->atoms, atoms->count);
	status = cut_braces(&odometer, atoms->atoms, atoms->count);
	if (status == 0)
		status = odometer_run(&odometer, *budget, &second);
	odometer_free(&odometer);
	return status;
}
