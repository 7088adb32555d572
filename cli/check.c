/* SPDX-License-Identifier: MIT */
/*
 * check.c: `fdbroker check`: everything wrong with a policy, and what looks wrong, before it is
 * loaded.
 *
 * Expects that fail count as findings, and so do rules whose path runs through a symbolic link: the
 * broker matches what it opens, so such a rule never matches.
 */
#include "command.h"
#include "policy-file.h"
#include "print-privileges.h"
#include "system.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first component of a directory that is a symbolic link: how many bytes lead to it, or 0. */
static size_t link_within(const char *path)
{
	char prefix[PATH_MAX];
	struct stat status;

	for (size_t at = 1; path[0] == '/' && path[1]; at++) {
		at += strcspn(path + at, "/");
		memcpy(prefix, path, at);
		prefix[at] = '\0';
		if (lstat(prefix, &status) < 0)
			return 0;
		if (S_ISLNK(status.st_mode))
			return at;
		if (!path[at])
			break;
	}
	return 0;
}

/* Rights that are about a link itself where it comes last: there it is no mistake. */
#define LINK_RIGHTS                                                                      \
	(POLICY_READLINK | POLICY_DELETE | POLICY_RENAME | POLICY_CREATE | POLICY_STAT | \
		POLICY_MKDIR)

/* Where the links on the way lead to, and what stands behind them; NULL where that is unknown. */
static char *link_hint(const char *path, size_t at)
{
	char prefix[PATH_MAX], *real, *hint = NULL;

	memcpy(prefix, path, at);
	prefix[at] = '\0';
	real = realpath(prefix, NULL);
	if (real && asprintf(&hint, "write %s%s", real[1] || !path[at] ? real : "", path + at) < 0)
		hint = NULL;
	free(real);
	return hint;
}

static void check_link(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const struct policy_prefix *prefix)
{
	size_t at = link_within(prefix->path);
	bool last = at && prefix->whole && !prefix->path[at];
	char *message = NULL, *hint;

	if (!at || (last && !(prefix->rights & ~(uint32_t)LINK_RIGHTS)))
		return;
	if (asprintf(&message, "'%.*s' is a symbolic link: %s", (int)at, prefix->path,
		    last ? "what it leads to is not meant by this" : "this never matches") < 0)
		return;
	hint = link_hint(prefix->path, at);
	policy_warn_prefix(policy, diagnostics, prefix, hint, message);
	free(hint);
	free(message);
}

static void check_map(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const struct policy_prefix *prefix)
{
	const char *from, *to;
	char *message = NULL, *hint = NULL;

	/* Addresses are not mapped. */
	if (prefix->socket || !policy_map_hides(policy, prefix->path, &from, &to))
		return;
	if (asprintf(&message,
		    "what is asked for beneath '%s' is decided beneath '%s': this never matches",
		    from, to) < 0)
		message = NULL;
	if (asprintf(&hint, "write %s%s", to[1] ? to : "",
		    from[1] ? prefix->path + strlen(from) : prefix->path) < 0)
		hint = NULL;
	if (message)
		policy_warn_prefix(policy, diagnostics, prefix, hint, message);
	free(message);
	free(hint);
}

/* A word with braces has several beginnings, and is told of once for each finding. */
static bool same_word(const struct policy_prefix *a, const struct policy_prefix *b)
{
	return a->file == b->file && a->line == b->line && a->column == b->column &&
	       strcmp(a->path, b->path) == 0;
}

static void check_prefixes(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	size_t count;
	const struct policy_prefix *prefixes = policy_prefixes(policy, &count);

	for (size_t i = 0; i < count; i++) {
		if (i && same_word(&prefixes[i], &prefixes[i - 1]))
			continue;
		check_link(policy, diagnostics, &prefixes[i]);
		check_map(policy, diagnostics, &prefixes[i]);
	}
}

static void check_expectations(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	size_t count;
	const struct policy_expectation *expectations = policy_expectations(policy, &count);

	for (size_t i = 0; i < count; i++) {
		const struct policy_expectation *one = &expectations[i];
		struct policy_decision decision;

		int status =
			policy_ask(policy, &one->identity, one->rights, one->target, &decision);

		if (status == -ENOMEM)
			continue;
		if (status) {
			policy_warn(policy, diagnostics, one->file, one->line, NULL,
				"this expect fails: it cannot be asked");
			continue;
		}
		if ((decision.reason == POLICY_ALLOWED) == one->allow)
			continue;
		policy_warn(policy, diagnostics, one->file, one->line, "fdbroker explain says why",
			one->allow ? "this expect fails: it is denied"
				   : "this expect fails: it is allowed");
	}
}

/* What is mounted here; without /proc nothing can be said. */
static void check_mounts(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	char *text;
	size_t length;

	if (policy_file_read("/proc/self/mountinfo", &text, &length))
		return;
	if (policy_lint_mounts(policy, text, diagnostics))
		fputs("fdbroker: out of memory\n", stderr);
	free(text);
}

static void print_json(const struct policy_diagnostics *diagnostics)
{
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++) {
		const struct policy_diagnostic *one = policy_diagnostics_get(diagnostics, i);

		printf("{\"severity\":\"%s\",\"file\":",
			one->severity == POLICY_ERROR ? "error" : "warning");
		json_string(one->file);
		printf(",\"line\":%u,\"column\":%u,\"length\":%u,\"message\":", one->line,
			one->column, one->length);
		json_string(one->message);
		if (one->hint) {
			printf(",\"hint\":");
			json_string(one->hint);
		}
		puts("}");
	}
}

int command_check(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"privileges", no_argument, NULL, 'P'},
		{"json", no_argument, NULL, 'j'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *path = POLICY_DEFAULT_FILE;
	bool privileges = false, json = false;
	struct policy_diagnostics *diagnostics;
	struct policy *policy;
	size_t findings;
	int option;

	while ((option = command_option(self, argc, argv, options)) != -1) {
		if (option == 'p')
			path = optarg;
		else if (option == 'P')
			privileges = true;
		else
			json = true;
	}
	if (optind < argc)
		return command_misused(self, "%s: unexpected argument", argv[optind]);
	if (policy_file_load(path, &diagnostics, &policy) == 0) {
		if (policy_lint(policy, diagnostics))
			fputs("fdbroker: out of memory\n", stderr);
		check_prefixes(policy, diagnostics);
		check_mounts(policy, diagnostics);
		check_expectations(policy, diagnostics);
	}
	if (json)
		print_json(diagnostics);
	else
		policy_file_print(diagnostics);
	if (policy && privileges)
		(json ? print_privileges_json : print_privileges)(policy);
	findings = policy_diagnostics_count(diagnostics);
	policy_diagnostics_free(diagnostics);
	policy_free(policy);
	return findings ? EXIT_FAILED : 0;
}
