/* SPDX-License-Identifier: MIT */
/*
 * check.c: the subcommand that reads a policy as the daemon would, and says what is wrong with it.
 *
 * It loads the very files with the very code of the daemon, so that what passes here loads there. It
 * must never change anything, nor need a broker.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "command.h"
#include "diagnostic.h"
#include "policy.h"
#include "report.h"
#include "system.h"

#define POLICY_DEFAULT "/etc/fdbroker/policy"

int command_check(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		COMMAND_COMMON_OPTIONS,
	};
	struct policy_diagnostics *diagnostics;
	struct policy_environment environment;
	struct policy_summary summary;
	struct policy *policy = NULL;
	const char *path = POLICY_DEFAULT;
	size_t findings;
	int error;

	while (command_option(self, argc, argv, options) == 'p')
		path = optarg;
	if (optind < argc)
		return command_misused(self, "%s: unexpected argument", argv[optind]);
	diagnostics = policy_diagnostics_new();
	if (!diagnostics)
		return report_failure(self->name, path, ENOMEM);
	policy_system_environment(&environment);
	error = policy_load(path, &environment, diagnostics, &policy);
	findings = policy_diagnostics_count(diagnostics);
	for (size_t i = 0; i < findings; i++)
		policy_diagnostic_print(stderr, policy_diagnostics_get(diagnostics, i));
	policy_diagnostics_free(diagnostics);
	if (error && error != -EINVAL)
		return report_failure(self->name, path, -error);
	if (!error) {
		policy_summarize(policy, &summary);
		printf("%s: %zu subjects, %zu rules%s\n", path, summary.subjects, summary.rules,
			findings ? "" : ", nothing to complain of");
	}
	policy_free(policy);
	return findings ? EXIT_FAILED : EXIT_DONE;
}
