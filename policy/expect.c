/* SPDX-License-Identifier: MIT */
/*
 * expect.c: `expect`: what a policy should do, as part of it.
 *
 *	expect allow|deny user NAME [group NAME]... [exe PATH] [unit U] [label L] [via A] RIGHTS
 *TARGET...
 *
 * The caller is made up of what the line says and nothing else: a user's primary group, but
 *none of its other groups, so that the line means the same on every machine.
 */
#include "compile.h"
#include "query.h"
#include "rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 64u
#define ALONE	   (POLICY_TREE | POLICY_WRITE_TREE | POLICY_CONNECT | POLICY_BIND)

/* One pair of keyword and value of the caller. */
static int read_identity(struct compiler *compiler, const struct statement *statement,
	uint32_t word, struct policy_identity *identity, gid_t *groups, unsigned int *seen)
{
	enum keyword keyword = keyword_find(&statement->words[word]);
	const struct policy_environment *environment = compiler->environment;
	const char *text, **exes;
	struct policy_user user;
	int status = compile_literal(compiler, statement, word + 1, "an expect", &text);

	if (status)
		return status;
	if (keyword != KEYWORD_GROUP && *seen & 1u << keyword)
		return compile_error(compiler, statement, word, NULL, "'%s' is there twice",
			keyword_name(keyword));
	*seen |= 1u << keyword;
	switch (keyword) {
	case KEYWORD_USER:
		status = compile_user(compiler, statement, word + 1, text, &identity->uid);
		if (status)
			return status;
		/* A number may be a user's, too, and then has its group. */
		status = environment->user_by_uid(environment->context, identity->uid, &user);
		if (status == 0)
			identity->gid = user.gid;
		else if (status != -ENOENT && status != -ENOMEM)
			return compile_error(compiler, statement, word + 1, NULL,
				"cannot look up the uid %u: %s", (unsigned int)identity->uid,
				strerror(-status));
		return status == -ENOMEM ? status : 0;
	case KEYWORD_GROUP:
		if (identity->group_count == GROUPS_MAX)
			return compile_error(
				compiler, statement, word, NULL, "more than %u groups", GROUPS_MAX);
		return compile_group(
			compiler, statement, word + 1, text, &groups[identity->group_count++]);
	case KEYWORD_EXE:
		exes = arena_alloc(&compiler->policy->arena, sizeof(*exes));
		if (!exes)
			return -ENOMEM;
		*exes = text;
		identity->exes = exes;
		identity->exe_count = 1;
		return 0;
	case KEYWORD_UNIT:
		identity->unit = text;
		return 0;
	case KEYWORD_LABEL:
		identity->label = text;
		return 0;
	default:
		identity->via = text;
		return 0;
	}
}

static bool is_identity(const struct word *word)
{
	enum keyword keyword = keyword_find(word);

	return keyword >= KEYWORD_USER && keyword <= KEYWORD_VIA;
}

/* The target, checked: a path that is canonical, or an address. */
static int read_target(struct compiler *compiler, const struct statement *statement, uint32_t word,
	uint32_t rights, const char **target)
{
	struct policy_address address;
	bool internet = statement->words[word].length > 4 &&
			(memcmp(statement->words[word].text, "tcp:", 4) == 0 ||
				memcmp(statement->words[word].text, "udp:", 4) == 0);
	int status;

	if (!(rights & POLICY_ADDRESS_RIGHTS))
		return compile_literal_path(compiler, statement, word, "what is expected", target);
	/* The brackets of an IPv6 address are no wildcard. */
	if (internet) {
		*target = arena_copy(&compiler->policy->arena, statement->words[word].text,
			statement->words[word].length);
		status = *target ? 0 : -ENOMEM;
	} else {
		status = compile_literal(compiler, statement, word, "an expect", target);
	}
	if (status == 0 && policy_address_parse(*target, strlen(*target), &address))
		status = compile_error(compiler, statement, word,
			"for example unix:/run/app.sock or tcp:127.0.0.1:5432",
			"'%s' is no address", *target);
	return status;
}

static int add_expectations(struct compiler *compiler, const struct statement *statement,
	uint32_t word, struct policy_expectation *expectation)
{
	struct policy *policy = compiler->policy;
	int status, failed = 0;

	for (; word < statement->count; word++) {
		status = read_target(
			compiler, statement, word, expectation->rights, &expectation->target);
		if (status == -ENOMEM)
			return status;
		if (status) {
			failed = status;
			continue;
		}
		expectation->column = statement->words[word].column;
		if (!array_reserve(&policy->expectations, &policy->expectation_capacity,
			    policy->expectation_count + 1, sizeof(*expectation)))
			return -ENOMEM;
		policy->expectations[policy->expectation_count++] = *expectation;
	}
	return failed;
}

int compile_expect(struct compiler *compiler, const struct statement *statement)
{
	struct policy_expectation expectation = {.file = statement->source->path,
		.line = statement->line,
		.identity = {.uid = (uid_t)-1, .gid = (gid_t)-1}};
	struct policy_identity *identity = &expectation.identity;
	gid_t groups[GROUPS_MAX];
	uint32_t word = 2;
	unsigned int seen = 0;
	int status = 0, failed = 0;

	expectation.allow = word_is(&statement->words[1], "allow");
	if (!expectation.allow && !word_is(&statement->words[1], "deny"))
		return compile_error(compiler, statement, 1, "expect allow ... or expect deny ...",
			"neither allow nor deny");
	for (; word + 1 < statement->count && is_identity(&statement->words[word]); word += 2) {
		status = read_identity(compiler, statement, word, identity, groups, &seen);
		if (status == -ENOMEM)
			return status;
		if (status)
			failed = status;
	}
	if (!(seen & 1u << KEYWORD_USER))
		return compile_error(compiler, statement, 1, "expect allow user NAME ...",
			"the expect names no user");
	if (word + 2 > statement->count)
		return compile_error(compiler, statement, statement->count - 1,
			"expect allow user NAME RIGHTS PATH...", "the expect names no path");
	status = compile_rights(compiler, statement, word, false, &expectation.rights);
	if (status || failed)
		return status ? status : failed;
	/* What could not be asked would be denied, and an `expect deny` of it hold. */
	if (expectation.rights & ALONE && expectation.rights & (expectation.rights - 1))
		return compile_error(compiler, statement, word, "write an expect for each",
			"tree, write-tree, connect and bind are each asked alone");
	if (identity->group_count) {
		gid_t *copy = arena_alloc(
			&compiler->policy->arena, identity->group_count * sizeof(*copy));

		if (!copy)
			return -ENOMEM;
		memcpy(copy, groups, identity->group_count * sizeof(*copy));
		identity->groups = copy;
	}
	return add_expectations(compiler, statement, word + 1, &expectation);
}

const struct policy_expectation *policy_expectations(const struct policy *policy, size_t *count)
{
	*count = policy->expectation_count;
	return policy->expectations;
}
