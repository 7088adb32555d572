/* SPDX-License-Identifier: MIT */
/*
 * policy-random.c: the compiled policy against the naive one (policy-naive.h), on random policies,
 * callers and requests. FDBROKER_TEST_SEED repeats a run, FDBROKER_TEST_TRIPLES makes it longer or
 * shorter.
 */
#include "policy-naive.h"
#include "policy-support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TRIPLES	   1000000u
#define PER_POLICY 64u

static uint64_t chance;

static unsigned int pick(unsigned int below)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned int)(chance >> 33) % below;
}

#define PICK(list) list[pick(sizeof(list) / sizeof(list[0]))]

static void random_pattern(char *out)
{
	static const char *const names[] = {"a", "b", "ab", "c", "*", "?", "a*", "*b", "**", "**",
		"[ab]", "[!a]", "[a-c]*", "%u", "%U", "x%u", "*%U", "{a,b}", "{a,b/c}", "\\*",
		"*a*b*"};
	static const char *const starts[] = {"", "", "", "", "%h", "$d"};
	unsigned int depth = 1 + pick(3);

	strcpy(out, PICK(starts));
	for (unsigned int i = 0; i < depth; i++) {
		strcat(out, "/");
		strcat(out, PICK(names));
	}
	/* Neither may make "**" part of a longer name. */
	if (pick(8) == 0)
		strcat(out, "{,/**}");
	else if (pick(12) == 0 && !(strlen(out) > 2 && strcmp(out + strlen(out) - 2, "**") == 0))
		strcat(out, "{,.b}");
}

static void random_policy(struct naive_policy *policy)
{
	static const char *const defines[] = {"/a", "/a /b", "/a/b /c/**", "/{a,b} /ab"};
	static const char *const froms[] = {"/a", "/b/a", "/c", "/a/b", "/x"};
	static const char *const tos[] = {"/b", "/a/b", "/c/c", "/a"};
	static const uint32_t rights[] = {POLICY_READ, POLICY_READ, POLICY_READ | POLICY_WRITE,
		POLICY_WRITE, POLICY_LIST, POLICY_CREATE | POLICY_READ, POLICY_STAT};

	memset(policy, 0, sizeof(*policy));
	policy->subject_count = 1 + pick(NAIVE_SUBJECTS);
	for (size_t i = 0; i < policy->subject_count; i++) {
		static const unsigned int lows[] = {1000, 1002, 0, 0, 0, 1100};
		static const unsigned int highs[] = {1003, 1003, 70000, 70000, 1105, 1003};
		struct naive_subject *subject = &policy->subjects[i];
		unsigned int kind = pick(sizeof(lows) / sizeof(lows[0]));

		subject->user_low = lows[kind] > highs[kind] ? highs[kind] : lows[kind];
		subject->user_high = highs[kind];
		subject->group = pick(5) ? -1 : pick(2) ? 4 : 30;
		if (subject->group >= 0 && pick(2)) {
			subject->user_low = 1;
			subject->user_high = 0;
		}
	}
	strcpy(policy->define, PICK(defines));
	policy->map_count = pick(4) ? 0 : 1 + pick(NAIVE_MAPS);
	for (size_t i = 0; i < policy->map_count; i++) {
		snprintf(policy->maps[i].from, NAIVE_TEXT, "%s", PICK(froms));
		snprintf(policy->maps[i].to, NAIVE_TEXT, "%s", PICK(tos));
		for (size_t j = 0; j < i; j++)
			if (strcmp(policy->maps[i].from, policy->maps[j].from) == 0)
				policy->maps[i].off = true;
	}
	policy->rule_count = 1 + pick(NAIVE_RULES);
	for (size_t i = 0; i < policy->rule_count; i++) {
		struct naive_rule *rule = &policy->rules[i];
		char second[NAIVE_TEXT];

		rule->subject = pick((unsigned int)policy->subject_count);
		rule->deny = pick(3) == 0;
		rule->rights = rule->deny && pick(2) ? UINT32_MAX : PICK(rights);
		random_pattern(rule->patterns);
		if (pick(4) == 0) {
			random_pattern(second);
			strcat(rule->patterns, " ");
			strcat(rule->patterns, second);
		}
	}
}

/* Writes the policy down, and which line each rule came to stand on. */
static void write_policy(struct naive_policy *policy, char *text, size_t size)
{
	FILE *stream = fmemopen(text, size, "w");
	unsigned int line = 1;

	fprintf(stream, "define d %s\n", policy->define);
	for (size_t i = 0; i < policy->map_count; i++)
		if (!policy->maps[i].off && ++line)
			fprintf(stream, "map %s %s\n", policy->maps[i].from, policy->maps[i].to);
	for (size_t i = 0; i < policy->subject_count; i++) {
		const struct naive_subject *subject = &policy->subjects[i];

		fprintf(stream, "subject s%zu {\n", i);
		line++;
		if (subject->user_low <= subject->user_high && ++line)
			fprintf(stream, "\tuser %u-%u\n", subject->user_low, subject->user_high);
		if (subject->group >= 0 && ++line)
			fprintf(stream, "\tgroup %d\n", subject->group);
		for (size_t j = 0; j < policy->rule_count; j++) {
			struct naive_rule *rule = &policy->rules[j];
			char rights[POLICY_RIGHTS_BUFFER];

			if (rule->off || rule->subject != i)
				continue;
			policy_rights_print(rule->rights, rights, sizeof(rights));
			rule->line = ++line;
			fprintf(stream, "\t%s %s %s\n", rule->deny ? "deny" : "allow",
				rule->rights == UINT32_MAX ? "all" : rights, rule->patterns);
		}
		fprintf(stream, "}\n");
		line++;
	}
	fclose(stream);
}

static void random_path(char *path, const struct naive_caller *caller)
{
	static const char *const names[] = {"a", "a", "a", "b", "b", "ab", "c", "alice", "*",
		"xalice", "1002", "a1003", "ab.b", "b.b", "bob", "star"};
	unsigned int depth = pick(5);

	path[0] = '\0';
	if (caller->home && pick(5) == 0)
		strcpy(path, caller->home);
	for (unsigned int i = 0; i < depth; i++) {
		strcat(path, "/");
		strcat(path, PICK(names));
	}
	if (!*path)
		strcpy(path, "/");
}

/* The users of policy-support.h, as the language sees them. */
static const struct naive_caller callers[] = {
	{1002, 1002, "alice", "/home/alice"},
	{1002, 4, "alice", "/home/alice"},
	{1003, 30, "bob", "/home/bob"},
	{1003, 1003, "bob", "/home/bob"},
	{1101, 4, "*", "/home/star"},
	{1102, 1102, NULL, NULL},
	{1103, 30, NULL, "/home/a/b"},
	{1104, 4, "star", "/home/x*"},
	{1105, 1105, "slash", NULL},
	{4242, 4, NULL, NULL},
	{0, 0, "root", "/root"},
	{65534, 4, "nobody", "/nonexistent"},
};

static struct policy_decision ask(const struct policy *policy, const struct naive_caller *caller,
	uint32_t rights, const char *path)
{
	struct policy_identity identity = {.uid = caller->uid, .gid = caller->gid};
	char mapped[POLICY_PATH_BUFFER];

	assert_true(policy_map(policy, path, strlen(path), mapped) > 0);
	return decide_as(policy, &identity, rights, mapped);
}

static bool differ(const struct policy_decision *decision, const struct naive_answer *answer)
{
	return decision->reason != answer->reason ||
	       (answer->reason != POLICY_ALLOWED && decision->missing != answer->missing) ||
	       (answer->reason == POLICY_DENY_RULE && decision->rule->line != answer->line);
}

static bool disagree(struct naive_policy *naive, const struct naive_caller *caller, uint32_t rights,
	const char *path, char *text, size_t size)
{
	struct policy_decision decision;
	struct naive_answer answer;
	struct policy *policy;
	bool result;

	write_policy(naive, text, size);
	files_reset();
	policy = load_text(text);
	decision = ask(policy, caller, rights, path);
	answer = naive_decide(naive, caller, rights, path);
	result = differ(&decision, &answer);
	policy_free(policy);
	return result;
}

/* Leaves out of a disagreement all that it does not need, and prints the rest. */
static void shrink_and_print(struct naive_policy *naive, const struct naive_caller *caller,
	uint32_t rights, const char *path)
{
	static char text[16384];
	char rights_text[POLICY_RIGHTS_BUFFER];
	bool *parts[NAIVE_RULES + NAIVE_MAPS];
	size_t count = 0;

	for (size_t i = 0; i < naive->rule_count; i++)
		parts[count++] = &naive->rules[i].off;
	for (size_t i = 0; i < naive->map_count; i++)
		parts[count++] = &naive->maps[i].off;
	for (size_t i = 0; i < count; i++) {
		if (*parts[i])
			continue;
		*parts[i] = true;
		if (!disagree(naive, caller, rights, path, text, sizeof(text)))
			*parts[i] = false;
	}
	for (uint32_t right = 1; right; right <<= 1)
		if (rights & right && rights != right &&
			disagree(naive, caller, rights & ~right, path, text, sizeof(text)))
			rights &= ~right;
	disagree(naive, caller, rights, path, text, sizeof(text));
	policy_rights_print(rights, rights_text, sizeof(rights_text));
	print_error("disagreement: uid %u gid %u asks %s %s of\n%s", caller->uid, caller->gid,
		rights_text, path, text);
}

/* What an administrator is told is what the broker does. */
static void same_answers(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const char *path, const char *mapped,
	const struct policy_decision *decision)
{
	static struct policy_explanation explanation;
	struct policy_decision asked;

	assert_int_equal(policy_ask(policy, identity, rights, path, &asked), 0);
	assert_int_equal(policy_explain(policy, identity, rights, path, &explanation), 0);
	assert_string_equal(explanation.target, mapped);
	assert_int_equal(asked.reason, decision->reason);
	assert_int_equal(asked.missing, decision->missing);
	assert_ptr_equal(asked.rule, decision->rule);
	assert_int_equal(asked.directory, decision->directory);
	assert_int_equal(explanation.decision.reason, decision->reason);
	assert_int_equal(explanation.decision.missing, decision->missing);
	assert_ptr_equal(explanation.decision.rule, decision->rule);
	/* The nearest rule is told of only where none allows it, and is an allow. */
	assert_true(!explanation.near || decision->reason == POLICY_NO_RULE ||
		    decision->reason == POLICY_NO_SUBJECT);
	assert_true(!explanation.near || !explanation.near_rule.deny);
}

static void test_agreement(void **state)
{
	static const uint32_t asked[] = {POLICY_READ, POLICY_READ, POLICY_WRITE,
		POLICY_READ | POLICY_WRITE, POLICY_STAT, POLICY_CREATE, POLICY_LIST, POLICY_DELETE};
	static char text[16384];
	const char *seed = getenv("FDBROKER_TEST_SEED"), *wanted = getenv("FDBROKER_TEST_TRIPLES");
	unsigned long triples = wanted ? strtoul(wanted, NULL, 0) : TRIPLES, done = 0;
	unsigned long counts[8] = {0};

	(void)state;
	chance = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
	print_message("# FDBROKER_TEST_SEED=%llu\n", (unsigned long long)chance);
	chance = chance ? chance : 1;
	while (done < triples) {
		struct naive_policy naive;
		struct policy *policy;
		struct policy_scratch *scratch;

		random_policy(&naive);
		write_policy(&naive, text, sizeof(text));
		files_reset();
		policy = load_text(text);
		assert_int_equal(policy_scratch_new(policy, &scratch), 0);
		for (unsigned int i = 0; i < PER_POLICY / 8; i++) {
			const struct naive_caller *caller = &PICK(callers);
			struct policy_identity identity = {.uid = caller->uid, .gid = caller->gid};
			struct policy_caller *made;

			assert_int_equal(policy_caller_new(policy, &identity, &made), 0);
			for (unsigned int j = 0; j < 8; j++, done++) {
				uint32_t rights = PICK(asked);
				char path[256], mapped[POLICY_PATH_BUFFER];
				struct policy_decision decision;
				struct naive_answer answer;
				ssize_t length;

				random_path(path, caller);
				length = policy_map(policy, path, strlen(path), mapped);
				policy_decide(policy, made, scratch, rights, mapped, (size_t)length,
					&decision);
				answer = naive_decide(&naive, caller, rights, path);
				counts[answer.reason]++;
				if (done % 16 == 0)
					same_answers(
						policy, &identity, rights, path, mapped, &decision);
				if (differ(&decision, &answer)) {
					shrink_and_print(&naive, caller, rights, path);
					fail();
				}
			}
			policy_caller_free(made);
		}
		policy_scratch_free(scratch);
		policy_free(policy);
	}
	files_reset();
	print_message(
		"# %lu triples: %lu allowed, %lu denied by a rule, %lu by none, %lu no subject\n",
		done, counts[POLICY_ALLOWED], counts[POLICY_DENY_RULE], counts[POLICY_NO_RULE],
		counts[POLICY_NO_SUBJECT]);
	/* A test that never allows anything tests nothing. */
	assert_true(triples < 10000 ||
		    (counts[POLICY_ALLOWED] > done / 50 && counts[POLICY_DENY_RULE] > done / 50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_agreement)};

	return cmocka_run_group_tests_name("policy-random", tests, NULL, NULL);
}
