/* SPDX-License-Identifier: MIT */
/*
 * explain-json.c: see explain.h. It says what explain.c says in words, and finds out nothing itself.
 */
#include "explain.h"

#include "policy-file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

const char *const explain_kinds[POLICY_KINDS] = {"user", "group", "exe", "unit", "label", "via"};

static void print_place(const struct policy_rule_place *place)
{
	text_print_member("file", place->file, strlen(place->file));
	printf(", \"line\": %u", place->line);
}

void explain_print_rule_json(const struct policy_rule_info *rule)
{
	putchar('{');
	print_place(&rule->place);
	fputs(", ", stdout);
	text_print_member("subject", rule->place.subject, strlen(rule->place.subject));
	fputs(", ", stdout);
	text_print_member("text", rule->text, rule->length);
	putchar('}');
}

/* A subject, what of it holds and what fails. */
static void print_subject(const struct policy_subject_match *match)
{
	const char *comma = "";

	putchar('{');
	text_print_member("name", match->place.subject, strlen(match->place.subject));
	fputs(", ", stdout);
	print_place(&match->place);
	fputs(", \"held\": {", stdout);
	for (size_t i = 0; i < POLICY_KINDS; i++) {
		if (!match->held[i] || match->mismatch & 1u << i)
			continue;
		fputs(comma, stdout);
		text_print_member(explain_kinds[i], match->held[i], strlen(match->held[i]));
		comma = ", ";
	}
	fputs("}, \"failed\": [", stdout);
	comma = "";
	for (size_t i = 0; i < POLICY_KINDS; i++) {
		if (!(match->mismatch & 1u << i))
			continue;
		printf("%s\"%s\"", comma, explain_kinds[i]);
		comma = ", ";
	}
	fputs(match->logs_grants ? "], \"logs_grants\": true}" : "]}", stdout);
}

static void print_subjects(const struct policy *policy, const struct policy_identity *identity)
{
	struct policy_subject_match match;
	struct policy_summary summary;
	const char *comma = "";

	policy_summarize(policy, &summary);
	fputs(", \"subjects\": [", stdout);
	for (size_t i = 0; i < summary.subjects; i++) {
		policy_subject_match(policy, i, identity, &match);
		if (match.mismatch)
			continue;
		fputs(comma, stdout);
		print_subject(&match);
		comma = ", ";
	}
	putchar(']');
	if (!*comma && policy_subject_nearest(policy, identity, &match)) {
		fputs(", \"nearest_subject\": ", stdout);
		print_subject(&match);
	}
}

static void print_values(const struct policy *policy, const struct policy_identity *identity,
	const struct policy_rule_info *rule)
{
	const char *names[] = {rule->uses_user ? "%u" : NULL, rule->uses_uid ? "%U" : NULL,
		rule->uses_home ? "%h" : NULL};
	char value[POLICY_PATH_BUFFER];
	struct policy_caller *caller;
	const char *comma = "";

	if (policy_caller_new(policy, identity, &caller))
		return;
	fputs(", \"variables\": {", stdout);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!names[i])
			continue;
		fputs(comma, stdout);
		if (policy_caller_expand(caller, names[i], value) < 0)
			printf("\"%s\": null", names[i]);
		else
			text_print_member(names[i], value, strlen(value));
		comma = ", ";
	}
	putchar('}');
	policy_caller_free(caller);
}

static void print_near(const struct policy_explanation *explanation)
{
	static const char *const misses[] = {[POLICY_NEAR_RIGHT] = "right",
		[POLICY_NEAR_SUBJECT] = "subject",
		[POLICY_NEAR_PORT] = "port",
		[POLICY_NEAR_ADDRESS] = "address",
		[POLICY_NEAR_PROTOCOL] = "protocol",
		[POLICY_NEAR_PATH] = "path"};

	if (explanation->near == POLICY_NEAR_NONE)
		return;
	printf(", \"nearest\": {\"misses\": \"%s\"", misses[explanation->near]);
	if (explanation->near == POLICY_NEAR_PATH) {
		fputs(", ", stdout);
		text_print_member("matches", explanation->target, explanation->depth);
	}
	fputs(", \"rule\": ", stdout);
	explain_print_rule_json(&explanation->near_rule);
	putchar('}');
}

void explain_print_json(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const struct policy_explanation *explanation)
{
	const struct policy_decision *decision = &explanation->decision;
	char names[POLICY_RIGHTS_BUFFER];
	struct policy_rule_info rule;

	policy_rights_print(rights, names, sizeof(names));
	printf("{\"decision\": \"%s\", \"reason\": \"%s\", \"rights\": \"%s\", ",
		decision->reason == POLICY_ALLOWED ? "allow" : "deny",
		policy_reason_text(decision->reason), names);
	text_print_member("target", explanation->target, strlen(explanation->target));
	if (explanation->map.file) {
		fputs(", \"map\": {", stdout);
		print_place(&explanation->map);
		putchar('}');
	}
	if (policy_rule_find(policy, decision->rule, &rule)) {
		fputs(", \"rule\": ", stdout);
		explain_print_rule_json(&rule);
		print_values(policy, identity, &rule);
	}
	print_subjects(policy, identity);
	print_near(explanation);
	puts("}");
}
