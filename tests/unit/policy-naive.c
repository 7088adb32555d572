/* SPDX-License-Identifier: MIT */
#include "policy-naive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 32

static bool glob(const char *pattern, const char *name, const struct naive_caller *caller)
{
	char uid[16];
	const char *value, *end;
	bool not, in = false;

	switch (*pattern) {
	case '\0':
		return !*name;
	case '*':
		return glob(pattern + 1, name, caller) ||
		       (*name && glob(pattern, name + 1, caller));
	case '?':
		return *name && glob(pattern + 1, name + 1, caller);
	case '%':
		snprintf(uid, sizeof(uid), "%u", caller->uid);
		value = pattern[1] == 'u' ? caller->name : uid;
		return value && strncmp(name, value, strlen(value)) == 0 &&
		       glob(pattern + 2, name + strlen(value), caller);
	case '[':
		not = pattern[1] == '!';
		end = strchr(pattern + 2 + not, ']');
		for (const char *c = pattern + 1 + not ; c < end; c++) {
			if (c[1] == '-' && c + 2 < end) {
				in |= *name >= c[0] && *name <= c[2];
				c += 2;
			} else {
				in |= *name == *c;
			}
		}
		return *name && in != not &&glob(end + 1, name + 1, caller);
	case '\\':
		return pattern[1] == *name && glob(pattern + 2, name + 1, caller);
	default:
		return *pattern == *name && glob(pattern + 1, name + 1, caller);
	}
}

/* Splits "/a/b" into names; returns how many. */
static size_t split(char *path, char **names)
{
	size_t count = 0;

	for (char *name = strtok(path, "/"); name; name = strtok(NULL, "/"))
		names[count++] = name;
	return count;
}

static bool match_names(char **patterns, size_t pattern_count, char **names, size_t name_count,
	const struct naive_caller *caller)
{
	if (pattern_count == 0)
		return name_count == 0;
	if (strcmp(*patterns, "**") == 0) {
		if (pattern_count == 1)
			return name_count > 0;
		return match_names(patterns + 1, pattern_count - 1, names, name_count, caller) ||
		       (name_count && match_names(patterns, pattern_count, names + 1,
					      name_count - 1, caller));
	}
	return name_count && glob(*patterns, *names, caller) &&
	       match_names(patterns + 1, pattern_count - 1, names + 1, name_count - 1, caller);
}

/* One pattern without braces and defines, against a path or, for a deny, all that it lies beneath.
 */
static bool match(
	const char *pattern, const char *path, bool deny, const struct naive_caller *caller)
{
	char pattern_copy[1024], path_copy[1024], home_copy[256];
	char *patterns[NAMES_MAX], *names[NAMES_MAX], *home[NAMES_MAX];
	size_t pattern_count, name_count, home_count = 0;

	/* A home is names to be equal to, and no pattern. */
	if (strncmp(pattern, "%h", 2) == 0) {
		snprintf(home_copy, sizeof(home_copy), "%s", caller->home);
		home_count = split(home_copy, home);
		pattern += 2;
	}
	snprintf(pattern_copy, sizeof(pattern_copy), "%s", pattern);
	snprintf(path_copy, sizeof(path_copy), "%s", path);
	pattern_count = split(pattern_copy, patterns);
	name_count = split(path_copy, names);
	if (home_count > name_count)
		return false;
	for (size_t i = 0; i < home_count; i++)
		if (strcmp(home[i], names[i]) != 0)
			return false;
	for (size_t count = deny ? home_count : name_count; count <= name_count; count++)
		if (match_names(patterns, pattern_count, names + home_count, count - home_count,
			    caller))
			return true;
	return false;
}

/* Expands the first brace, or the first $d, and goes on; then matches. */
static bool match_expanded(const struct naive_policy *policy, const char *pattern, const char *path,
	bool deny, const struct naive_caller *caller)
{
	const char *open = strchr(pattern, '{'), *use = strstr(pattern, "$d");
	char text[1024], values[NAIVE_TEXT];

	if (open) {
		const char *close = strchr(open, '}'), *choice = open + 1;

		for (;;) {
			const char *end = choice + strcspn(choice, ",}");

			snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(open - pattern), pattern,
				(int)(end - choice), choice, close + 1);
			if (match_expanded(policy, text, path, deny, caller))
				return true;
			if (end == close)
				return false;
			choice = end + 1;
		}
	}
	if (use) {
		char *save, *value;

		snprintf(values, sizeof(values), "%s", policy->define);
		for (value = strtok_r(values, " ", &save); value;
			value = strtok_r(NULL, " ", &save)) {
			snprintf(text, sizeof(text), "%.*s%s%s", (int)(use - pattern), pattern,
				value, use + 2);
			if (match_expanded(policy, text, path, deny, caller))
				return true;
		}
		return false;
	}
	return match(pattern, path, deny, caller);
}

static bool lacks_value(const struct naive_rule *rule, const struct naive_caller *caller)
{
	return (strstr(rule->patterns, "%u") && !caller->name) ||
	       (strstr(rule->patterns, "%h") && !caller->home);
}

static bool rule_matches(const struct naive_policy *policy, const struct naive_rule *rule,
	const char *path, const struct naive_caller *caller)
{
	char patterns[NAIVE_TEXT], *save;

	if (rule->deny && lacks_value(rule, caller))
		return true;
	snprintf(patterns, sizeof(patterns), "%s", rule->patterns);
	for (char *pattern = strtok_r(patterns, " ", &save); pattern;
		pattern = strtok_r(NULL, " ", &save)) {
		if ((strstr(pattern, "%u") && !caller->name) ||
			(strstr(pattern, "%h") && !caller->home))
			continue;
		if (match_expanded(policy, pattern, path, rule->deny, caller))
			return true;
	}
	return false;
}

static void map_path(const struct naive_policy *policy, const char *path, char mapped[1024])
{
	size_t longest = 0;

	snprintf(mapped, 1024, "%s", path);
	for (size_t i = 0; i < policy->map_count; i++) {
		const char *from = policy->maps[i].from;
		size_t length = strlen(from);

		if (policy->maps[i].off || length < longest || strncmp(path, from, length) != 0 ||
			(path[length] && path[length] != '/'))
			continue;
		longest = length;
		snprintf(mapped, 1024, "%s%s", policy->maps[i].to, path + length);
	}
}

static bool subject_matches(const struct naive_subject *subject, const struct naive_caller *caller)
{
	if (caller->uid == 65534)
		return false;
	if (subject->user_low <= subject->user_high &&
		(caller->uid < subject->user_low || caller->uid > subject->user_high))
		return false;
	return subject->group < 0 ||
	       (caller->gid == (unsigned int)subject->group && caller->gid != 65534);
}

struct naive_answer naive_decide(const struct naive_policy *policy,
	const struct naive_caller *caller, uint32_t rights, const char *path)
{
	const uint32_t shows = POLICY_READ | POLICY_WRITE | POLICY_LIST | POLICY_WATCH;
	struct naive_answer answer = {POLICY_NO_SUBJECT, rights, 0};
	uint32_t allowed = 0, denied = 0;
	char mapped[1024];

	map_path(policy, path, mapped);
	for (size_t i = 0; i < policy->subject_count; i++)
		if (subject_matches(&policy->subjects[i], caller))
			answer.reason = POLICY_NO_RULE;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct naive_rule *rule = &policy->rules[i];

		if (rule->off || !subject_matches(&policy->subjects[rule->subject], caller) ||
			!rule_matches(policy, rule, mapped, caller))
			continue;
		if (!rule->deny) {
			allowed |= rule->rights | (rule->rights & shows ? POLICY_STAT : 0);
		} else if (rule->rights & rights) {
			denied |= rule->rights & rights;
			if (!answer.line || rule->line < answer.line)
				answer.line = rule->line;
		}
	}
	if (answer.reason == POLICY_NO_SUBJECT)
		return answer;
	answer.missing = denied ? denied : rights & ~allowed;
	answer.reason = denied		 ? POLICY_DENY_RULE
			: answer.missing ? POLICY_NO_RULE
					 : POLICY_ALLOWED;
	return answer;
}
