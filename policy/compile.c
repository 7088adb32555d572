/* SPDX-License-Identifier: MIT */
/*
 * compile.c: what belongs to no one rule or subject: `define`, and the end, when all statements have been read.
 */
#include "compile.h"

#include "beneath.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- define -----------------------------------------------------------------------------------
 */

static int define_value(void *context, const struct atom *atoms, size_t count)
{
	struct define *define = context;
	struct atoms *value;

	if (!array_reserve(
		    &define->values, &define->capacity, define->count + 1, sizeof(*define->values)))
		return -ENOMEM;
	value = &define->values[define->count++];
	memset(value, 0, sizeof(*value));
	if (!array_reserve(&value->atoms, &value->capacity, count + 1, sizeof(*atoms)))
		return -ENOMEM;
	if (count)
		memcpy(value->atoms, atoms, count * sizeof(*atoms));
	value->count = count;
	return 0;
}

int compile_define(struct compiler *compiler, const struct statement *statement)
{
	const struct word *name = &statement->words[1];
	struct defines *defines = &compiler->defines;
	struct define define = {.place = compile_place(statement, 1)};
	struct expand_target target = {define_value, &define};
	size_t budget = EXPAND_MAX;
	int status = 0, failed = 0, there;

	for (uint32_t i = 0; i < name->length; i++)
		if (!isalnum((unsigned char)name->text[i]) && name->text[i] != '_')
			return compile_error(compiler, statement, 1,
				"a name has letters, digits and '_'",
				"'%.*s' is no name for a define", (int)name->length, name->text);
	there = define_find(defines, name->text, name->length);
	if (there >= 0)
		return compile_error(compiler, statement, 1, "a define is made once",
			"'%.*s' is defined at %s:%u already", (int)name->length, name->text,
			defines->list[there].place.source->path, defines->list[there].place.line);
	if (defines->count > UINT16_MAX)
		return compile_error(compiler, statement, 0, NULL, "too many defines");
	for (uint32_t i = 2; i < statement->count && status != -ENOMEM; i++) {
		compiler->atoms.count = 0;
		status = word_atoms(statement->source, statement->line, &statement->words[i],
			defines, &compiler->atoms, compiler->diagnostics);
		if (status == 0)
			status = expand(&compiler->atoms, defines, &budget, &target);
		if (status == -E2BIG)
			status = compile_error(compiler, statement, i,
				"use a wildcard, or several defines", "more than %u values",
				EXPAND_MAX);
		else if (expand_error(status))
			status = compile_error(compiler, statement, i, "use a wildcard", "%s",
				expand_error(status));
		if (status)
			failed = status;
	}
	/* Known even so, lest each use of it be an error of its own. */
	define.name = arena_copy(&compiler->policy->arena, name->text, name->length);
	if (status == -ENOMEM || !define.name ||
		!array_reserve(
			&defines->list, &defines->capacity, defines->count + 1, sizeof(define))) {
		struct defines one = {.list = malloc(sizeof(define)), .count = 1};

		if (one.list) {
			one.list[0] = define;
			defines_free(&one);
		}
		return -ENOMEM;
	}
	defines->list[defines->count++] = define;
	return table_add(&defines->names, 0, name->text, name->length, (uint32_t)defines->count)
		       ? failed
		       : -ENOMEM;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static int known_user(void *context, const struct policy_user *user)
{
	struct policy *policy = context;
	struct known_user *known;

	if (!array_reserve(&policy->users, &policy->user_capacity, policy->user_count + 1,
		    sizeof(*policy->users)))
		return -ENOMEM;
	known = &policy->users[policy->user_count];
	known->uid = user->uid;
	known->order = policy->user_count;
	known->name = arena_copy(&policy->arena, user->name, strlen(user->name));
	known->home = arena_copy(
		&policy->arena, user->home ? user->home : "", user->home ? strlen(user->home) : 0);
	if (!known->name || !known->home)
		return -ENOMEM;
	policy->user_count++;
	return 0;
}

static int compare_users(const void *a, const void *b)
{
	const struct known_user *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Reads the user data base. Of several names for one uid the first counts, as for getpwuid(3). */
static int read_users(struct compiler *compiler)
{
	const struct policy_environment *environment = compiler->environment;
	struct policy *policy = compiler->policy;
	struct place place = {policy->sources[0], 0, 0, 0};
	size_t kept = 0;
	int status = environment->each_user(environment->context, known_user, policy);

	if (status == -ENOMEM)
		return status;
	if (status) {
		report_error(compiler->diagnostics, &place, NULL,
			"%%u and %%h need the user data base, which cannot be read: %s",
			strerror(-status));
		return 0;
	}
	if (policy->user_count == 0)
		return 0;
	qsort(policy->users, policy->user_count, sizeof(*policy->users), compare_users);
	for (size_t i = 0; i < policy->user_count; i++)
		if (i == 0 || policy->users[i].uid != policy->users[kept - 1].uid)
			policy->users[kept++] = policy->users[i];
	policy->user_count = kept;
	return 0;
}

static int compare_internets(const void *a, const void *b)
{
	const struct internet_rule *x = a, *y = b;

	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

int compile_finish(struct compiler *compiler)
{
	struct policy *policy = compiler->policy;
	struct place place = {policy->sources[0], 0, 0, 0};
	int status = 0;

	if (policy->variables & (VARIABLE_USER | VARIABLE_HOME))
		status = read_users(compiler);
	if (status)
		return status;
	if (policy->internet_count)
		qsort(policy->internets, policy->internet_count, sizeof(*policy->internets),
			compare_internets);
	status = builder_finish(&compiler->builder, &policy->tree);
	/* A path may then need more nodes at once than a decision bears: it is denied. */
	if (status == 0 && policy->tree.width > TREE_WIDTH_MAX)
		report_warning(compiler->diagnostics, &place,
			"use fewer wildcards behind '**', or name directories in place of it",
			"more wildcards than a decision bears: deep paths can be denied for it");
	if (status == 0)
		status = beneath_index(policy);
	return status ? status : beneath_check_trees(policy, compiler->diagnostics);
}

void compile_done(struct compiler *compiler)
{
	defines_free(&compiler->defines);
	builder_free(&compiler->builder);
	table_free(&compiler->subject_names);
	table_free(&compiler->exe_names);
	free(compiler->atoms.atoms);
	pattern_free(&compiler->pattern);
}
