/* SPDX-License-Identifier: MIT */
/*
 * caller.c: which subjects an identity matches, and its values of the variables.
 *
 * The kernel's overflow ids stand for everyone who is not mapped: they match nothing, not even `*`.
 */
#include "compiled.h"
#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each of these returns the value of the policy that holds, as written, or NULL. */

static const char *ranges_hold(const struct ranges *ranges, uint32_t id)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (id >= ranges->list[i].low && id <= ranges->list[i].high)
			return ranges->list[i].text;
	return NULL;
}

static const char *user_holds(
	const struct policy *policy, const struct ranges *ranges, uint32_t uid)
{
	return uid == policy->overflow_uid ? NULL : ranges_hold(ranges, uid);
}

static const char *group_holds(
	const struct policy *policy, const struct ranges *ranges, uint32_t gid)
{
	return gid == policy->overflow_gid ? NULL : ranges_hold(ranges, gid);
}

static const char *groups_hold(const struct policy *policy, const struct ranges *ranges,
	const struct policy_identity *identity)
{
	const char *held = group_holds(policy, ranges, identity->gid);

	for (size_t i = 0; !held && i < identity->group_count; i++)
		held = group_holds(policy, ranges, identity->groups[i]);
	return held;
}

static const char *string_holds(const struct strings *strings, const char *text)
{
	for (size_t i = 0; text && i < strings->count; i++)
		if (strcmp(strings->list[i], text) == 0)
			return strings->list[i];
	return NULL;
}

static const char *exes_hold(const struct strings *strings, const struct policy_identity *identity)
{
	const char *held = NULL;

	for (size_t i = 0; !held && i < identity->exe_count; i++)
		held = string_holds(strings, identity->exes[i]);
	return held;
}

unsigned int subject_mismatch(const struct policy *policy, const struct subject *subject,
	const struct policy_identity *identity)
{
	unsigned int mismatch = 0;

	if (identity->uid == policy->overflow_uid || identity->uid == (uid_t)-1 ||
		(subject->users.count && !ranges_hold(&subject->users, identity->uid)))
		mismatch |= POLICY_MISMATCH_USER;
	if (subject->groups.count && !groups_hold(policy, &subject->groups, identity))
		mismatch |= POLICY_MISMATCH_GROUP;
	if (subject->exes.count && !exes_hold(&subject->exes, identity))
		mismatch |= POLICY_MISMATCH_EXE;
	if (subject->units.count && !string_holds(&subject->units, identity->unit))
		mismatch |= POLICY_MISMATCH_UNIT;
	if (subject->labels.count && !string_holds(&subject->labels, identity->label))
		mismatch |= POLICY_MISMATCH_LABEL;
	if (subject->vias.count && !string_holds(&subject->vias, identity->via))
		mismatch |= POLICY_MISMATCH_VIA;
	return mismatch;
}

void policy_subject_match(const struct policy *policy, size_t i,
	const struct policy_identity *identity, struct policy_subject_match *match)
{
	const struct subject *subject = &policy->subjects[i];

	*match = (struct policy_subject_match){
		.place = {subject->place.source->path, subject->place.line, subject->name},
		.mismatch = subject_mismatch(policy, subject, identity),
		.held = {user_holds(policy, &subject->users, identity->uid),
			groups_hold(policy, &subject->groups, identity),
			exes_hold(&subject->exes, identity),
			string_holds(&subject->units, identity->unit),
			string_holds(&subject->labels, identity->label),
			string_holds(&subject->vias, identity->via)},
		.logs_grants = subject->logs_grants,
	};
}

/* How far from matching: that a user is who it is says more than all the rest. */
static int distance(const struct policy_subject_match *match)
{
	int misses = __builtin_popcount(match->mismatch), holds = 0;

	for (size_t i = 0; i < POLICY_KINDS; i++)
		holds += match->held[i] != NULL;
	if (match->mismatch & POLICY_MISMATCH_USER)
		misses += POLICY_KINDS;
	return misses * (POLICY_KINDS + 1) - holds;
}

bool policy_subject_nearest(const struct policy *policy, const struct policy_identity *identity,
	struct policy_subject_match *match)
{
	for (size_t i = 0; i < policy->subject_count; i++) {
		struct policy_subject_match other;

		policy_subject_match(policy, i, identity, &other);
		if (i == 0 || distance(&other) < distance(match))
			*match = other;
	}
	return policy->subject_count != 0;
}

static int compare_uid(const void *key, const void *element)
{
	uid_t uid = *(const uid_t *)key, other = ((const struct known_user *)element)->uid;

	return uid < other ? -1 : uid > other;
}

/*
 * A value never changes what a pattern says: a name that could be more than part of one component,
 * and a home that is no canonical path or the root, are no values.
 */
static void take_values(const struct known_user *user, struct values *values)
{
	if (*user->name && !strchr(user->name, '/') && strcmp(user->name, ".") != 0 &&
		strcmp(user->name, "..") != 0) {
		values->user = user->name;
		values->user_length = strlen(user->name);
	}
	if (user->home[0] == '/' && user->home[1] &&
		policy_path_check(user->home, strlen(user->home)) == 0) {
		values->home = user->home;
		values->home_length = strlen(user->home);
		for (const char *at = user->home; *at; at++)
			values->home_depth += *at == '/';
	}
}

static void find_values(struct policy_caller *caller, uid_t uid)
{
	const struct policy *policy = caller->policy;
	const struct known_user *user = NULL;

	caller->uid = uid;
	caller->values.uid_length = (size_t)snprintf(
		caller->uid_text, sizeof(caller->uid_text), "%u", (unsigned int)uid);
	caller->values.uid = caller->uid_text;
	if (policy->user_count)
		user = bsearch(&uid, policy->users, policy->user_count, sizeof(*policy->users),
			compare_uid);
	if (user)
		take_values(user, &caller->values);
}

bool policy_user_values(const struct policy *policy, size_t i, struct policy_user_values *user)
{
	struct values values = {0};

	if (i >= policy->user_count)
		return false;
	take_values(&policy->users[i], &values);
	*user = (struct policy_user_values){policy->users[i].uid, values.user, values.home};
	return true;
}

uid_t policy_caller_uid(const struct policy_caller *caller)
{
	return caller->uid;
}

size_t policy_directory_length(const struct policy_caller *caller, uint32_t directory)
{
	const struct directory_length *lengths = caller->policy->directory_lengths;
	size_t length = caller_length(caller, &lengths[directory]);

	return length ? length : 1;
}

static int find_subjects(struct policy_caller *caller, const struct policy_identity *identity)
{
	const struct policy *policy = caller->policy;
	size_t count = 0;

	caller->matched = caller->few_matched;
	if (policy->subject_count / 8 + 1 > sizeof(caller->few_matched))
		caller->matched = calloc(policy->subject_count / 8 + 1, 1);
	if (!caller->matched)
		return -ENOMEM;
	for (uint32_t i = 0; i < policy->subject_count; i++) {
		if (subject_mismatch(policy, &policy->subjects[i], identity))
			continue;
		caller->matched[i / 8] |= (unsigned char)(1u << i % 8);
		/* A connection that is used by others is used for all that it may do. */
		caller->delegates =
			(count == 0 || caller->delegates) && policy->subjects[i].delegate;
		caller->logs_grants |= policy->subjects[i].logs_grants;
		count++;
	}
	caller->subjects = caller->few_subjects;
	if (count > sizeof(caller->few_subjects) / sizeof(caller->few_subjects[0]))
		caller->subjects = calloc(count, sizeof(*caller->subjects));
	if (!caller->subjects)
		return -ENOMEM;
	for (uint32_t i = 0; i < policy->subject_count; i++)
		if (caller_has(caller, i))
			caller->subjects[caller->subject_count++] = i;
	return 0;
}

static int find_denies(struct policy_caller *caller)
{
	const struct policy *policy = caller->policy;
	unsigned int lacks = (caller->values.user ? 0u : VARIABLE_USER) |
			     (caller->values.home ? 0u : VARIABLE_HOME);

	if (!policy->variable_deny_count)
		return 0;
	caller->denies = calloc(policy->variable_deny_count, sizeof(*caller->denies));
	if (!caller->denies)
		return -ENOMEM;
	for (size_t i = 0; i < policy->variable_deny_count; i++) {
		const struct rule *rule = &policy->rules[policy->variable_denies[i]];

		if (rule->variables & lacks && caller_has(caller, rule->subject))
			caller->denies[caller->deny_count++] = policy->variable_denies[i];
	}
	return 0;
}

int policy_caller_new(const struct policy *policy, const struct policy_identity *identity,
	struct policy_caller **caller)
{
	struct policy_caller *made = calloc(1, sizeof(*made));
	int status;

	*caller = NULL;
	if (!made)
		return -ENOMEM;
	made->policy = policy;
	find_values(made, identity->uid);
	status = find_subjects(made, identity);
	if (status == 0)
		status = find_denies(made);
	if (status) {
		policy_caller_free(made);
		return status;
	}
	*caller = made;
	return 0;
}

void policy_caller_free(struct policy_caller *caller)
{
	if (!caller)
		return;
	if (caller->subjects != caller->few_subjects)
		free(caller->subjects);
	if (caller->matched != caller->few_matched)
		free(caller->matched);
	free(caller->denies);
	free(caller);
}

size_t policy_caller_subjects(const struct policy_caller *caller)
{
	return caller->subject_count;
}

const char *policy_caller_subject(const struct policy_caller *caller, size_t i)
{
	return i < caller->subject_count ? caller->policy->subjects[caller->subjects[i]].name
					 : NULL;
}

bool policy_caller_delegates(const struct policy_caller *caller)
{
	return caller->delegates;
}
