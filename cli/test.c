/* SPDX-License-Identifier: MIT */
/*
 * test.c: `fdbroker test`: runs the expects of a policy. `fdbroker fmt`: lays it out.
 */
#include "command.h"
#include "policy-file.h"
#include "system.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool run_one(const struct policy *policy, const struct policy_expectation *one)
{
	char rights[POLICY_RIGHTS_BUFFER];
	struct policy_decision decision;
	int status = policy_ask(policy, &one->identity, one->rights, one->target, &decision);
	bool allowed = status == 0 && decision.reason == POLICY_ALLOWED;
	bool holds = status == 0 && allowed == one->allow;

	policy_rights_print(one->rights, rights, sizeof(rights));
	printf("%s %s:%u: %s %s %s", holds ? "ok  " : "FAIL", one->file, one->line,
		one->allow ? "allow" : "deny", rights, one->target);
	if (!holds)
		printf(": %s",
			status ? "this cannot be asked" : policy_reason_text(decision.reason));
	if (!holds && decision.rule)
		printf(" (%s:%u)", decision.rule->file, decision.rule->line);
	putchar('\n');
	return holds;
}

int command_test(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *path = POLICY_DEFAULT_FILE;
	const struct policy_expectation *expectations;
	struct policy_diagnostics *diagnostics;
	struct policy *policy;
	size_t count = 0, held = 0;
	int status;

	while (command_option(self, argc, argv, options) == 'p')
		path = optarg;
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
		held += run_one(policy, &expectations[i]);
	printf("%zu of %zu expects hold\n", held, count);
	policy_free(policy);
	return held == count ? 0 : EXIT_FAILED;
}

static int read_plain(const char *path, char **text, size_t *length)
{
	FILE *file = fopen(path, "re"), *memory;
	char buffer[65536];
	size_t count;
	int status = 0;

	if (!file)
		return -errno;
	memory = open_memstream(text, length);
	while (memory && (count = fread(buffer, 1, sizeof(buffer), file)))
		fwrite(buffer, 1, count, memory);
	if (ferror(file))
		status = -EIO;
	fclose(file);
	if (!memory || fclose(memory))
		return -ENOMEM;
	if (status)
		free(*text);
	return status;
}

/* Over the file itself, so that its owner, mode and links stay. */
static int write_plain(const char *path, const char *text, size_t length)
{
	FILE *file = fopen(path, "r+e");
	int status = 0;

	if (!file)
		return -errno;
	if (fwrite(text, 1, length, file) != length || fflush(file) ||
		ftruncate(fileno(file), (off_t)length))
		status = -errno;
	if (fclose(file) && status == 0)
		status = -errno;
	return status;
}

static int format_file(const char *path, bool check)
{
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	char *text = NULL, *formatted = NULL;
	size_t length = 0, formatted_length = 0;
	int status = read_plain(path, &text, &length), result = 0;
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
		printf("%s\n", path);
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
