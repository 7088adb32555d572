/* SPDX-License-Identifier: MIT */
/*
 * explain.c: `fdbroker explain`: may they, and why. The answer is the library's, the same that the
 * daemon acts on; here it is only put into words.
 */
#include "explain.h"
#include "command.h"
#include "policy-file.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 64

struct question {
	const char *policy, *subject, *user;
	struct policy_identity identity;
	bool json;
	gid_t groups[LIST_MAX];
	const char *exes[LIST_MAX];
};

static int find_user(struct question *question)
{
	const struct passwd *entry;

	/* A number need not be known, but where it is, its group counts. */
	if (text_read_id(question->user, &question->identity.uid))
		entry = getpwuid(question->identity.uid);
	else
		entry = getpwnam(question->user);
	question->identity.gid = (gid_t)-1;
	if (entry) {
		question->identity.uid = entry->pw_uid;
		question->identity.gid = entry->pw_gid;
	} else if (!text_read_id(question->user, &question->identity.uid)) {
		fprintf(stderr, "fdbroker: there is no user '%s'\n", question->user);
		return EXIT_USAGE;
	}
	return 0;
}

static int add_group(struct question *question, const char *name)
{
	struct policy_identity *identity = &question->identity;
	const struct group *entry;
	uint32_t gid;

	if (identity->group_count == LIST_MAX) {
		fputs("fdbroker: too many groups\n", stderr);
		return EXIT_USAGE;
	}
	if (!text_read_id(name, &gid)) {
		entry = getgrnam(name);
		if (!entry) {
			fprintf(stderr, "fdbroker: there is no group '%s'\n", name);
			return EXIT_USAGE;
		}
		gid = entry->gr_gid;
	}
	question->groups[identity->group_count++] = gid;
	identity->groups = question->groups;
	return 0;
}

static int read_options(
	const struct command *self, int argc, char **argv, struct question *question)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"user", required_argument, NULL, 'u'},
		{"group", required_argument, NULL, 'g'},
		{"exe", required_argument, NULL, 'e'},
		{"unit", required_argument, NULL, 'U'},
		{"label", required_argument, NULL, 'l'},
		{"via", required_argument, NULL, 'v'},
		{"subject", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		COMMAND_COMMON_OPTIONS,
	};
	struct policy_identity *identity = &question->identity;
	int option;

	while ((option = command_option(self, argc, argv, options)) != -1) {
		switch (option) {
		case 'p':
			question->policy = optarg;
			break;
		case 'u':
			question->user = optarg;
			break;
		case 'g':
			if (add_group(question, optarg))
				return EXIT_USAGE;
			break;
		case 'e':
			if (identity->exe_count == LIST_MAX)
				return command_misused(self, "too many --exe");
			question->exes[identity->exe_count++] = optarg;
			identity->exes = question->exes;
			break;
		case 'U':
			identity->unit = optarg;
			break;
		case 'l':
			identity->label = optarg;
			break;
		case 'v':
			identity->via = optarg;
			break;
		case 's':
			question->subject = optarg;
			break;
		case 'j':
			question->json = true;
			break;
		}
	}
	return 0;
}

static void print_place(const char *file, unsigned int line)
{
	print_escaped(file, strlen(file));
	printf(":%u: ", line);
}

static void print_rule(const char *before, const struct policy_rule_info *info)
{
	fputs(before, stdout);
	print_place(info->place.file, info->place.line);
	print_escaped(info->text, info->length);
	printf(" (subject %s)\n", info->place.subject);
}

static void print_near(const struct policy_explanation *explanation, uint32_t rights)
{
	static const struct {
		unsigned int mismatch;
		const char *what;
	} mismatches[] = {
		{POLICY_MISMATCH_USER, "is not its user"},
		{POLICY_MISMATCH_GROUP, "is not in its group"},
		{POLICY_MISMATCH_EXE, "does not run its exe"},
		{POLICY_MISMATCH_UNIT, "is not in its unit"},
		{POLICY_MISMATCH_LABEL, "does not have its label"},
		{POLICY_MISMATCH_VIA, "does not come via its address"},
	};
	const struct policy_rule_info *rule = &explanation->near_rule;
	char has[POLICY_RIGHTS_BUFFER], asked[POLICY_RIGHTS_BUFFER];

	policy_rights_print(rights, asked, sizeof(asked));
	policy_rights_print(rule->rights, has, sizeof(has));
	switch (explanation->near) {
	case POLICY_NEAR_NONE:
		return;
	case POLICY_NEAR_RIGHT:
		printf("nearest: line %u allows %s, asked was %s\n", rule->place.line, has, asked);
		break;
	case POLICY_NEAR_SUBJECT:
		for (size_t i = 0; i < sizeof(mismatches) / sizeof(mismatches[0]); i++)
			if (explanation->mismatch & mismatches[i].mismatch)
				printf("nearest: line %u allows it to '%s', but the caller %s\n",
					rule->place.line, rule->place.subject, mismatches[i].what);
		break;
	case POLICY_NEAR_PORT:
		printf("nearest: line %u allows port %u", rule->place.line, explanation->port_low);
		if (explanation->port_high != explanation->port_low)
			printf("-%u", explanation->port_high);
		printf(", asked was %s\n", strrchr(explanation->target, ':') + 1);
		break;
	case POLICY_NEAR_ADDRESS:
		printf("nearest: line %u has the right and the port, but another address\n",
			rule->place.line);
		break;
	case POLICY_NEAR_PROTOCOL:
		printf("nearest: line %u has the right and the address, but another protocol\n",
			rule->place.line);
		break;
	case POLICY_NEAR_PATH:
		printf("nearest: line %u has the right, but its pattern leaves the path behind ",
			rule->place.line);
		print_escaped(explanation->target, explanation->depth);
		putchar('\n');
		break;
	}
	print_rule("  ", rule);
}

static void print_subject(const char *before, const struct policy_subject_match *match)
{
	printf("%s %s (", before, match->place.subject);
	print_escaped(match->place.file, strlen(match->place.file));
	printf(":%u):", match->place.line);
}

static void print_match(const struct policy_subject_match *match)
{
	const char *comma = "";

	print_subject("subject", match);
	for (size_t i = 0; i < POLICY_KINDS; i++) {
		if (!match->held[i])
			continue;
		printf("%s %s ", comma, explain_kinds[i]);
		print_escaped(match->held[i], strlen(match->held[i]));
		comma = ",";
	}
	if (match->logs_grants)
		printf("%s log grants", comma);
	putchar('\n');
}

/* Of each kind that the subject has, whether it holds. */
static void print_misses(const struct policy_subject_match *match)
{
	const char *comma = "";

	print_subject("nearest subject", match);
	for (size_t i = 0; i < POLICY_KINDS; i++) {
		bool fails = match->mismatch & 1u << i;

		if (!fails && !match->held[i])
			continue;
		printf("%s %s %s", comma, explain_kinds[i], fails ? "does not match" : "matches");
		comma = ",";
	}
	putchar('\n');
}

static void print_subjects(const struct policy *policy, const struct policy_identity *identity)
{
	struct policy_subject_match match;
	struct policy_summary summary;
	size_t matched = 0;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < summary.subjects; i++) {
		policy_subject_match(policy, i, identity, &match);
		if (match.mismatch)
			continue;
		print_match(&match);
		matched++;
	}
	if (matched)
		return;
	puts("subject: none");
	if (policy_subject_nearest(policy, identity, &match))
		print_misses(&match);
}

static void print_values(const struct policy *policy, const struct policy_identity *identity,
	const struct policy_rule_info *rule)
{
	const char *variables[] = {rule->uses_user ? "%u" : NULL, rule->uses_uid ? "%U" : NULL,
		rule->uses_home ? "%h" : NULL};
	char value[POLICY_PATH_BUFFER];
	struct policy_caller *caller;

	if (policy_caller_new(policy, identity, &caller))
		return;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		if (!variables[i])
			continue;
		if (policy_caller_expand(caller, variables[i], value) < 0)
			printf("  %s has no value for this caller\n", variables[i]);
		else {
			printf("  %s is ", variables[i]);
			print_escaped(value, strlen(value));
			putchar('\n');
		}
	}
	policy_caller_free(caller);
}

static void print_explanation(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const struct policy_explanation *explanation)
{
	struct policy_rule_info rule;

	printf("%s: %s\n", explanation->decision.reason == POLICY_ALLOWED ? "allow" : "deny",
		policy_reason_text(explanation->decision.reason));
	if (policy_rule_find(policy, explanation->decision.rule, &rule)) {
		print_rule("rule: ", &rule);
		print_values(policy, identity, &rule);
	}
	if (explanation->map.file) {
		fputs("map: ", stdout);
		print_place(explanation->map.file, explanation->map.line);
		fputs("decided as ", stdout);
		print_escaped(explanation->target, strlen(explanation->target));
		putchar('\n');
	}
	print_subjects(policy, identity);
	print_near(explanation, rights);
}

static int explain(const struct policy *policy, const struct question *question,
	const char *rights_text, const char *target)
{
	static struct policy_explanation explanation;
	uint32_t rights = 0;
	char copy[256], *save;

	snprintf(copy, sizeof(copy), "%s", rights_text);
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		uint32_t right = policy_right_by_name(name);

		if (!right) {
			fprintf(stderr, "fdbroker: unknown right '%s'\n", name);
			return EXIT_USAGE;
		}
		rights |= right;
	}
	if (policy_explain(policy, &question->identity, rights, target, &explanation)) {
		fprintf(stderr, "fdbroker: '%s' of '%s' cannot be asked\n", rights_text, target);
		return EXIT_USAGE;
	}
	(question->json ? explain_print_json : print_explanation)(
		policy, &question->identity, rights, &explanation);
	return explanation.decision.reason == POLICY_ALLOWED ? 0 : EXIT_FAILED;
}

static int list_subject(const struct policy *policy, const char *name, bool json)
{
	struct policy_summary summary;
	size_t found = 0;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		struct policy_rule_info rule;

		policy_rule_get(policy, i, &rule);
		if (strcmp(rule.place.subject, name) != 0)
			continue;
		found++;
		if (json) {
			explain_print_rule_json(&rule);
			putchar('\n');
			continue;
		}
		print_place(rule.place.file, rule.place.line);
		print_escaped(rule.text, rule.length);
		putchar('\n');
	}
	if (!found)
		fprintf(stderr, "fdbroker: no rule of a subject '%s'\n", name);
	return found ? 0 : EXIT_FAILED;
}

int command_explain(const struct command *self, int argc, char **argv)
{
	struct question question = {.policy = POLICY_DEFAULT_FILE};
	struct policy_diagnostics *diagnostics;
	struct policy *policy;
	int status = read_options(self, argc, argv, &question);

	if (status)
		return status;
	if (question.subject && optind != argc)
		return command_misused(self, "%s: unexpected argument", argv[optind]);
	if (!question.subject && (!question.user || argc - optind != 2))
		return command_misused(self, "it takes --user USER RIGHTS PATH, or --subject NAME");
	if (question.user && find_user(&question))
		return EXIT_USAGE;
	status = policy_file_load(question.policy, &diagnostics, &policy);
	if (status)
		policy_file_print(diagnostics);
	policy_diagnostics_free(diagnostics);
	if (status)
		return EXIT_FAILED;
	if (question.subject)
		status = list_subject(policy, question.subject, question.json);
	else
		status = explain(policy, &question, argv[optind], argv[optind + 1]);
	policy_free(policy);
	return status;
}
