/* SPDX-License-Identifier: MIT */
/*
 * lint.h: what is right by the letter and probably not meant: warnings about rules, for whoever checks a policy.
 */
#ifndef POLICY_LINT_H
#define POLICY_LINT_H

#include "diagnostic.h"
#include "policy.h"

/*
 * Adds warnings about rules that do not do what they seem to: that nothing can match, that say
 * nothing new, denies that a caller can evade, grants of everything. -ENOMEM, else 0.
 */
int policy_lint(const struct policy *policy, struct policy_diagnostics *diagnostics);

/*
 * The literal beginning of each pattern of a rule, deny or allow, that names a file or a UNIX socket:
 * the components before the first wildcard or variable, or all of them. Kept where the environment
 * says so; in the order of the files.
 */
struct policy_prefix {
	const char *path;
	bool whole; /* there is nothing but the beginning */
	bool socket;
	bool deny;
	uint32_t rights; /* as written */
	const char *file;
	unsigned int line, column, length; /* of the word */
};

const struct policy_prefix *policy_prefixes(const struct policy *policy, size_t *count);

/* Adds a warning about such a word. */
void policy_warn_prefix(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const struct policy_prefix *prefix, const char *hint, const char *message);

/*
 * Adds a warning about each deny that a mount goes round: where what is denied can be seen by a
 * second path, that an allow covers and no deny does. `mountinfo` is the text of /proc/PID/mountinfo.
 * It needs policy_prefixes. -ENOMEM, else 0.
 */
int policy_lint_mounts(
	const struct policy *policy, const char *mountinfo, struct policy_diagnostics *diagnostics);

/*
 * The `map` by which nothing that is asked for can come to lie at or beneath a path, or false: what
 * is asked for there is decided elsewhere.
 */
bool policy_map_hides(
	const struct policy *policy, const char *path, const char **from, const char **to);

/* Adds a warning about a line of the policy. */
void policy_warn(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const char *file, unsigned int line, const char *hint, const char *message);

#endif
