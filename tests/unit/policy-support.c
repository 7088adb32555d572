/* SPDX-License-Identifier: MIT */
#include "policy-support.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FILES_MAX 64u

static struct file {
	char *path, *text;
	size_t length;
} files[FILES_MAX];
static size_t file_count;

static const struct policy_user users[] = {
	{"root", 0, 0, "/root"},
	{"logship", 1001, 1001, "/home/logship"},
	{"alice", 1002, 1002, "/home/alice"},
	{"bob", 1003, 1003, "/home/bob"},
	{"bobby", 1003, 1003, "/home/bobby"},
	{"*", 1101, 1101, "/home/star"},
	{"..", 1102, 1102, "/home/.."},
	{"a/b", 1103, 1103, "/home/a/b"},
	{"star", 1104, 1104, "/home/x*"},
	{"slash", 1105, 1105, "/"},
	{"nobody", 65534, 65534, "/nonexistent"},
};

static const struct {
	const char *name;
	gid_t gid;
} groups[] = {{"root", 0}, {"adm", 4}, {"logs", 30}, {"logship", 1001}, {"staff", 50},
	{"nogroup", 65534}};

void files_reset(void)
{
	for (size_t i = 0; i < file_count; i++) {
		free(files[i].path);
		free(files[i].text);
	}
	file_count = 0;
}

int files_setup(void **state)
{
	(void)state;
	files_reset();
	return 0;
}

void file_set(const char *path, const char *text, size_t length)
{
	struct file *file = &files[file_count++];

	assert_true(file_count <= FILES_MAX);
	file->path = strdup(path);
	file->text = malloc(length + 1);
	memcpy(file->text, text, length);
	file->length = length;
}

static int read_file(
	void *context, const char *path, char **text, size_t *length, const char **reason)
{
	(void)context;
	(void)reason;
	for (size_t i = file_count; i-- > 0;) {
		if (strcmp(files[i].path, path) != 0)
			continue;
		*text = malloc(files[i].length + 1);
		memcpy(*text, files[i].text, files[i].length);
		*length = files[i].length;
		return 0;
	}
	return -ENOENT;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int glob(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	(void)reason;
	(void)context;
	*paths = calloc(FILES_MAX, sizeof(**paths));
	*count = 0;
	for (size_t i = 0; i < file_count; i++)
		if (fnmatch(pattern, files[i].path, FNM_PATHNAME | FNM_PERIOD) == 0)
			(*paths)[(*count)++] = strdup(files[i].path);
	qsort(*paths, *count, sizeof(**paths), compare);
	return 0;
}

static int user_by_name(void *context, const char *name, struct policy_user *user)
{
	(void)context;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (strcmp(users[i].name, name) == 0) {
			*user = users[i];
			return 0;
		}
	}
	return strcmp(name, "broken") == 0 ? -EIO : -ENOENT;
}

static int user_by_uid(void *context, uid_t uid, struct policy_user *user)
{
	(void)context;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (users[i].uid == uid) {
			*user = users[i];
			return 0;
		}
	}
	return uid == 4444 ? -EIO : -ENOENT;
}

static int group_by_name(void *context, const char *name, gid_t *gid)
{
	(void)context;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (strcmp(groups[i].name, name) == 0) {
			*gid = groups[i].gid;
			return 0;
		}
	}
	return -ENOENT;
}

static int each_user(
	void *context, int (*each)(void *argument, const struct policy_user *user), void *argument)
{
	(void)context;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		int status = each(argument, &users[i]);

		if (status)
			return status;
	}
	return 0;
}

void environment_init(struct policy_environment *environment)
{
	*environment = (struct policy_environment){
		.read_file = read_file,
		.glob = glob,
		.user_by_name = user_by_name,
		.user_by_uid = user_by_uid,
		.group_by_name = group_by_name,
		.each_user = each_user,
		.overflow_uid = 65534,
		.overflow_gid = 65534,
	};
}

struct policy *load(struct policy_diagnostics **diagnostics)
{
	struct policy_environment environment;
	struct policy *policy;
	int status;

	environment_init(&environment);
	*diagnostics = policy_diagnostics_new();
	status = policy_load(TEST_FILE, &environment, *diagnostics, &policy);
	assert_true(status == 0 || status == -EINVAL);
	assert_true((status == 0) == (policy != NULL));
	assert_true((status == 0) == (policy_diagnostics_errors(*diagnostics) == 0));
	return policy;
}

struct policy *load_text(const char *text)
{
	struct policy_diagnostics *diagnostics;
	struct policy *policy;

	file_set(TEST_FILE, text, strlen(text));
	policy = load(&diagnostics);
	for (size_t i = 0; !policy && i < policy_diagnostics_count(diagnostics); i++)
		policy_diagnostic_print(stderr, policy_diagnostics_get(diagnostics, i));
	policy_diagnostics_free(diagnostics);
	assert_non_null(policy);
	return policy;
}

const char *load_wrong(const char *text, size_t i)
{
	static char line[1024];
	struct policy_diagnostics *diagnostics;
	const struct policy_diagnostic *one;

	file_set(TEST_FILE, text, strlen(text));
	policy_free(load(&diagnostics));
	one = policy_diagnostics_get(diagnostics, i);
	if (one)
		snprintf(line, sizeof(line), "%u:%u: %s: %s", one->line, one->column,
			one->severity == POLICY_ERROR ? "error" : "warning", one->message);
	else
		strcpy(line, "nothing");
	policy_diagnostics_free(diagnostics);
	return line;
}

struct policy_decision decide_as(const struct policy *policy,
	const struct policy_identity *identity, uint32_t rights, const char *path)
{
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	struct policy_decision decision;

	assert_int_equal(policy_caller_new(policy, identity, &caller), 0);
	assert_int_equal(policy_scratch_new(policy, &scratch), 0);
	policy_decide(policy, caller, scratch, rights, path, strlen(path), &decision);
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	return decision;
}

struct policy_decision decide(
	const struct policy *policy, uid_t uid, uint32_t rights, const char *path)
{
	struct policy_identity identity = {.uid = uid, .gid = uid};

	return decide_as(policy, &identity, rights, path);
}

bool allowed(const struct policy *policy, uid_t uid, uint32_t rights, const char *path)
{
	return decide(policy, uid, rights, path).reason == POLICY_ALLOWED;
}

enum policy_reason reason_of(
	const struct policy *policy, uid_t uid, uint32_t right, const char *target)
{
	struct policy_identity identity = {.uid = uid, .gid = uid};
	struct policy_decision decision;

	assert_int_equal(policy_ask(policy, &identity, right, target, &decision), 0);
	return decision.reason;
}

static void check_verdicts_of(const struct policy *policy, const struct verdicts *row,
	bool (*is_allowed)(const struct policy *policy, const char *target))
{
	char *targets = strdup(row->targets), *save;

	for (char *target = strtok_r(targets, " ", &save); target;
		target = strtok_r(NULL, " ", &save)) {
		for (char *c = target; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		if (is_allowed(policy, target + 1) != (*target == '+'))
			fail_msg("%s: %s", row->rules, target);
	}
	free(targets);
}

void check_verdicts(const char *head, const struct verdicts *rows, size_t count,
	bool (*is_allowed)(const struct policy *policy, const char *target))
{
	for (size_t i = 0; i < count; i++) {
		char text[512];
		struct policy *policy;

		files_reset();
		assert_true((size_t)snprintf(text, sizeof(text), "subject s {\n\t%s\n%s\n}\n", head,
				    rows[i].rules) < sizeof(text));
		policy = load_text(text);
		check_verdicts_of(policy, &rows[i], is_allowed);
		policy_free(policy);
	}
	files_reset();
}
