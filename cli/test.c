/* SPDX-License-Identifier: MIT */
/*
 * test.c: `fdbroker test`: runs the expects of a policy. `fdbroker fmt`: lays it out.
 */
#include "command.h"
#include "format.h"
#include "policy-file.h"
#include "system.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct outcome {
	struct policy_decision decision;
	bool asked; /* it could be */
	bool holds;
};

static void print_outcome(const struct policy_expectation *one, const struct outcome *outcome)
{
	const struct policy_rule_place *rule = outcome->decision.rule;
	char rights[POLICY_RIGHTS_BUFFER];

	policy_rights_print(one->rights, rights, sizeof(rights));
	fputs(outcome->holds ? "ok   " : "FAIL ", stdout);
	print_escaped(one->file, strlen(one->file));
	printf(":%u: %s %s ", one->line, one->allow ? "allow" : "deny", rights);
	print_escaped(one->target, strlen(one->target));
	if (!outcome->holds)
		printf(": %s", outcome->asked ? policy_reason_text(outcome->decision.reason)
					      : "this cannot be asked");
	if (!outcome->holds && rule) {
		fputs(" (", stdout);
		print_escaped(rule->file, strlen(rule->file));
		printf(":%u)", rule->line);
	}
	putchar('\n');
}

static void print_outcome_json(const struct policy_expectation *one, const struct outcome *outcome)
{
	const struct policy_rule_place *rule = outcome->decision.rule;
	char rights[POLICY_RIGHTS_BUFFER];

	policy_rights_print(one->rights, rights, sizeof(rights));
	printf("{\"holds\": %s, ", outcome->holds ? "true" : "false");
	text_print_member("file", one->file, strlen(one->file));
	printf(", \"line\": %u, \"expected\": \"%s\", \"rights\": \"%s\", ", one->line,
		one->allow ? "allow" : "deny", rights);
	text_print_member("target", one->target, strlen(one->target));
	printf(", \"reason\": \"%s\"", outcome->asked ? policy_reason_text(outcome->decision.reason)
						      : "this cannot be asked");
	if (rule) {
		fputs(", \"rule\": {", stdout);
		text_print_member("file", rule->file, strlen(rule->file));
		printf(", \"line\": %u}", rule->line);
	}
	puts("}");
}

static bool run_one(const struct policy *policy, const struct policy_expectation *one, bool json)
{
	struct outcome outcome = {0};
	int status =
		policy_ask(policy, &one->identity, one->rights, one->target, &outcome.decision);

	outcome.asked = status == 0;
	outcome.holds = outcome.asked && (outcome.decision.reason == POLICY_ALLOWED) == one->allow;
	(json ? print_outcome_json : print_outcome)(one, &outcome);
	return outcome.holds;
}

int command_test(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *path = POLICY_DEFAULT_FILE;
	const struct policy_expectation *expectations;
	struct policy_diagnostics *diagnostics;
	struct policy *policy;
	size_t count = 0, held = 0;
	bool json = false;
	int status, option;

	while ((option = command_option(self, argc, argv, options)) != -1) {
		if (option == 'p')
			path = optarg;
		else
			json = true;
	}
	if (optind < argc)
		return command_misused(self, "%s: unexpected argument", argv[optind]);
	status = policy_file_load(path, &diagnostics, &policy);
	if (status)
		policy_file_print(diagnostics);
	policy_diagnostics_free(diagnostics);
	if (status)
		return EXIT_FAILED;
	expectations = policy_expectations(policy, &count);
	for (size_t i = 0; i < count; i++)
		held += run_one(policy, &expectations[i], json);
	if (!json)
		printf("%zu of %zu expects hold\n", held, count);
	policy_free(policy);
	return held == count ? 0 : EXIT_FAILED;
}

/* Fills in a file that will take the place of another, with the same owner and mode. */
static int fill(int file, const struct stat *old, const char *text, size_t length)
{
	while (length) {
		ssize_t count = write(file, text, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		text += count;
		length -= (size_t)count;
	}
	/* The owner first: changing it can take bits off the mode. */
	if ((old->st_uid != geteuid() || old->st_gid != getegid()) &&
		fchown(file, old->st_uid, old->st_gid) < 0)
		return -errno;
	return fchmod(file, old->st_mode & 07777) < 0 || fsync(file) < 0 ? -errno : 0;
}

/*
 * Puts a whole new file in the place of the old one, so that nobody ever reads half of a policy. It
 * is made beside it, under a name that no wildcard of an include matches. A symbolic link stays one.
 */
static int write_plain(const char *path, const char *text, size_t length)
{
	char *real = realpath(path, NULL), *name, *beside = NULL;
	struct stat old;
	int file = -1, status = 0;

	if (!real)
		return -errno;
	name = strrchr(real, '/') + 1;
	if (asprintf(&beside, "%.*s.%s.XXXXXX", (int)(name - real), real, name) < 0)
		beside = NULL;
	if (!beside)
		status = -ENOMEM;
	else if (stat(real, &old) < 0 || (file = mkostemp(beside, O_CLOEXEC)) < 0)
		status = -errno;
	if (file >= 0) {
		status = fill(file, &old, text, length);
		if (close(file) && status == 0)
			status = -errno;
		if (status == 0 && rename(beside, real) < 0)
			status = -errno;
		if (status)
			unlink(beside);
	}
	free(beside);
	free(real);
	return status;
}

static int format_file(const char *path, bool check)
{
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	char *text = NULL, *formatted = NULL;
	size_t length = 0, formatted_length = 0;
	int status = policy_file_read(path, &text, &length), result = 0;
	bool same;

	if (status == 0) {
		status = diagnostics ? policy_format(path, text, length, diagnostics, &formatted,
					       &formatted_length)
				     : -ENOMEM;
		if (status == -EINVAL)
			policy_file_print(diagnostics);
	}
	same = status == 0 && length == formatted_length && memcmp(text, formatted, length) == 0;
	if (status == 0 && !same && check) {
		print_escaped(path, strlen(path));
		putchar('\n');
		result = EXIT_FAILED;
	} else if (status == 0 && !same) {
		status = write_plain(path, formatted, formatted_length);
	}
	if (status && status != -EINVAL)
		fprintf(stderr, "fdbroker: fmt %s: %s\n", path, strerror(-status));
	policy_diagnostics_free(diagnostics);
	free(text);
	free(formatted);
	return status ? EXIT_FAILED : result;
}

int command_fmt(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"check", no_argument, NULL, 'c'},
		COMMAND_COMMON_OPTIONS,
	};
	bool check = false;
	int result = 0;

	while (command_option(self, argc, argv, options) == 'c')
		check = true;
	if (optind == argc)
		return command_misused(self, "which FILE?");
	for (int i = optind; i < argc; i++)
		if (format_file(argv[i], check))
			result = EXIT_FAILED;
	return result;
}
