/* SPDX-License-Identifier: MIT */
/*
 * policy-support.h: a small world for the tests of the policy: files in memory, a few users and
 * groups.
 *
 * Users: root 0, logship 1001 (group 1001, home /home/logship), alice 1002, bob 1003, and, to be
 * kept in their place: "*" 1101, ".." 1102, "a/b" 1103, star 1104 (home /home/x*), slash 1105 (home
 * /), nobody 65534. Groups: root 0, adm 4, logs 30, logship 1001, staff 50, nogroup 65534.
 */
#ifndef POLICY_SUPPORT_H
#define POLICY_SUPPORT_H

#include "diagnostic.h"
#include "policy.h"
#include "query.h"

#define TEST_FILE "/etc/fdbroker/policy"

/* Forgets all files; the same as a setup of cmocka's. */
void files_reset(void);
int files_setup(void **state);
void file_set(const char *path, const char *text, size_t length);
void environment_init(struct policy_environment *environment);

/* Loads TEST_FILE. Both may be NULL: with errors the policy is. */
struct policy *load(struct policy_diagnostics **diagnostics);
/* The same of a text; fails the test, and prints why, where there is an error. */
struct policy *load_text(const char *text);
/* Loads a text that is wrong, and says what the i-th diagnostic is: "LINE:COLUMN: error: MESSAGE".
 */
const char *load_wrong(const char *text, size_t i);

struct policy_decision decide_as(const struct policy *policy,
	const struct policy_identity *identity, uint32_t rights, const char *path);
/* For a caller with a uid and its own group of the same number. */
struct policy_decision decide(
	const struct policy *policy, uid_t uid, uint32_t rights, const char *path);
bool allowed(const struct policy *policy, uid_t uid, uint32_t rights, const char *path);
/* As an administrator asks: of a path or an address. */
enum policy_reason reason_of(
	const struct policy *policy, uid_t uid, uint32_t right, const char *target);

/*
 * Lines of a policy, and what becomes of paths or addresses: + allowed, - not, separated by blanks. An underscore in
 * one stands for a blank.
 */
struct verdicts {
	const char *rules, *targets;
};

/* Holds each row, in a subject that begins with `head`, against what is_allowed says. */
void check_verdicts(const char *head, const struct verdicts *rows, size_t count,
	bool (*is_allowed)(const struct policy *policy, const char *target));

#endif
