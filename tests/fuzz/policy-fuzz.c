/* SPDX-License-Identifier: MIT */
/*
 * policy-fuzz.c: any bytes as a policy. Whatever they are, loading ends with a policy or with an error that
 * has a place; a policy that loads can be asked, explained, linted; and formatting changes nothing but
 * the layout.
 */
#include "diagnostic.h"
#include "format.h"
#include "lint.h"
#include "policy.h"
#include "query.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	const char *bytes;
	size_t length;
};

static int read_file(
	void *context, const char *path, char **bytes, size_t *length, const char **reason)
{
	static const char included[] = "define inner /i\ninclude policy\n";
	static const struct text other = {included, sizeof(included) - 1};
	const struct text *text = context;

	(void)reason;
	/* One file to include, which includes the first again. */
	if (strcmp(path, "x") == 0)
		text = &other;
	else if (strcmp(path, "policy") != 0)
		return -ENOENT;
	*bytes = malloc(text->length + 1);
	if (!*bytes)
		return -ENOMEM;
	memcpy(*bytes, text->bytes, text->length);
	*length = text->length;
	return 0;
}

static int no_glob(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	(void)reason;
	(void)context;
	(void)pattern;
	*paths = NULL;
	*count = 0;
	return 0;
}

static int user_by_name(void *context, const char *name, struct policy_user *user)
{
	(void)context;
	*user = (struct policy_user){"alice", 1002, 1002, "/home/alice"};
	return strcmp(name, "alice") == 0 ? 0 : -ENOENT;
}

static int user_by_uid(void *context, uid_t uid, struct policy_user *user)
{
	(void)context;
	*user = (struct policy_user){"alice", 1002, 1002, "/home/alice"};
	return uid == 1002 ? 0 : -ENOENT;
}

static int group_by_name(void *context, const char *name, gid_t *gid)
{
	(void)context;
	*gid = 4;
	return strcmp(name, "adm") == 0 ? 0 : -ENOENT;
}

static int each_user(
	void *context, int (*each)(void *argument, const struct policy_user *user), void *argument)
{
	const struct policy_user alice = {"alice", 1002, 1002, "/home/alice"};

	(void)context;
	return each(argument, &alice);
}

#define ensure(condition)                                                               \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* One file system at two places, another one beneath it. */
#define MOUNTS                                 \
	"1 0 8:1 / / rw - ext4 /dev/a rw\n"    \
	"2 1 8:1 /a /b rw - ext4 /dev/a rw\n"  \
	"3 1 8:2 / /a/b rw - ext4 /dev/b rw\n" \
	"4 1 8:2 /c /x rw - ext4 /dev/b rw\n"

static struct policy *load(struct text *text, size_t *errors)
{
	struct policy_environment environment = {.context = text,
		.read_file = read_file,
		.glob = no_glob,
		.user_by_name = user_by_name,
		.user_by_uid = user_by_uid,
		.group_by_name = group_by_name,
		.each_user = each_user,
		.keep_prefixes = true,
		.overflow_uid = 65534,
		.overflow_gid = 65534};
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	struct policy *policy;
	int status = policy_load("policy", &environment, diagnostics, &policy);

	ensure(status == 0 || status == -EINVAL);
	*errors = policy_diagnostics_errors(diagnostics);
	ensure((status == 0) == (*errors == 0));
	if (policy) {
		ensure(policy_lint(policy, diagnostics) == 0);
		ensure(policy_lint_mounts(policy, MOUNTS, diagnostics) == 0);
	}
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++) {
		const struct policy_diagnostic *one = policy_diagnostics_get(diagnostics, i);

		for (const char *c = one->message; *c; c++)
			ensure((unsigned char)*c >= 0x20 && *c != 0x7f);
		ensure(!one->text || one->caret <= strlen(one->text));
	}
	policy_diagnostics_free(diagnostics);
	return policy;
}

static void ask(const struct policy *policy)
{
	static const char *const targets[] = {"/", "/a", "/a/b/c", "/x/y/z/.q",
		"/home/alice/.alice-1002", "/q/%", "/t/alice", "unix:/x", "unix:@y",
		"tcp:1.2.3.4:443", "udp:[::1]:80"};
	static struct policy_explanation explanation;
	const struct policy_identity identities[] = {
		{.uid = 1002, .gid = 4}, {.uid = 5, .gid = 5}, {.uid = 65534, .gid = 65534}};

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		for (uint32_t right = POLICY_READ; right <= POLICY_BIND; right <<= 1) {
			for (size_t j = 0; j < 3; j++) {
				struct policy_decision decision;
				int first = policy_ask(
					policy, &identities[j], right, targets[i], &decision);
				int second = policy_explain(
					policy, &identities[j], right, targets[i], &explanation);

				ensure(first == second && (first == 0 || first == -EINVAL));
				ensure(first || decision.reason == explanation.decision.reason);
				ensure(first || decision.rule == explanation.decision.rule);
				/* Who is not mapped never gets anything. */
				ensure(j != 2 || decision.reason != POLICY_ALLOWED);
			}
		}
	}
}

static void format(struct text *text, size_t errors)
{
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	struct text once = {0}, twice = {0};
	char *formatted, *again;
	size_t formatted_errors;

	if (policy_format("policy", text->bytes, text->length, diagnostics, &formatted,
		    &once.length) == 0) {
		once.bytes = formatted;
		ensure(policy_format("policy", formatted, once.length, diagnostics, &again,
			       &twice.length) == 0);
		ensure(once.length == twice.length && memcmp(formatted, again, once.length) == 0);
		policy_free(load(&once, &formatted_errors));
		ensure((errors == 0) == (formatted_errors == 0));
		free(again);
		free(formatted);
	}
	policy_diagnostics_free(diagnostics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text text = {(const char *)data, size};
	size_t errors;
	struct policy *policy = load(&text, &errors);

	if (policy)
		ask(policy);
	policy_free(policy);
	format(&text, errors);
	return 0;
}
