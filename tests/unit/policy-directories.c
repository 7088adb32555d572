/* SPDX-License-Identifier: MIT */
/* policy-directories.c: which directories the rules are anchored at, and which one a decision names. */
#include "policy-support.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define R  POLICY_READ
#define W  POLICY_WRITE
#define C  POLICY_CREATE
#define S  POLICY_STAT
#define ME 1002u

static const struct policy_directory *find_directory(const struct policy *policy, const char *path)
{
	size_t count;
	const struct policy_directory *list = policy_directories(policy, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].path, path) == 0)
			return &list[i];
	return NULL;
}

static void test_directories(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow read /var/log/x/y*.log /var/log/x/access.log\n"
					  "allow write /srv/%u/x\n"
					  "allow read /srv/{a,b}/x exec\n"
					  "allow read /top %h/z\n"
					  "allow read,write /var/**\n"
					  "deny read /denied/here/x\n"
					  "}\n");
	size_t count;
	const struct policy_directory *list = policy_directories(policy, &count);

	(void)state;
	assert_int_equal(count, 7);
	assert_int_equal(find_directory(policy, "/var/log/x")->rights, R | S);
	assert_int_equal(find_directory(policy, "/var/log/x")->line, 3);
	assert_false(find_directory(policy, "/var/log/x")->variables);
	assert_int_equal(find_directory(policy, "/srv/%u")->rights, W | S);
	assert_true(find_directory(policy, "/srv/%u")->variables);
	assert_int_equal(find_directory(policy, "/srv/a")->exec_rights, R | S);
	assert_int_equal(find_directory(policy, "/srv/a")->rights, 0);
	assert_non_null(find_directory(policy, "/"));
	assert_null(find_directory(policy, "/denied/here"));
	/* The deepest of the highest right: for writing /var, for reading the one further down. */
	assert_string_equal(
		list[decide(policy, 1002, R, "/var/log/x/yz.log").directory].path, "/var/log/x");
	assert_string_equal(
		list[decide(policy, 1002, R | W, "/var/log/x/yz.log").directory].path, "/var");
	assert_string_equal(
		list[decide(policy, 1002, W | S, "/srv/alice/x").directory].path, "/srv/%u");
	assert_string_equal(list[decide(policy, 1002, R, "/home/alice/z").directory].path, "%h");
	assert_int_equal(decide(policy, 1002, R, "/var/log/x/yz.log").rule->line, 3);
	policy_free(policy);
}

/* What one caller's matches lie in, and how long its path is for the caller. */
static void test_directories_with_variables(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\n"
			  "allow read /a/user-%U/x/** /b/%U /c/%U*/x /d/%%/%u/[x]/y\n"
			  "allow read %h %h/.config/* /e%%/x\n"
			  "allow read /home/alice/.config/deep/**\n"
			  "allow tree %h/t%% /f%%\n"
			  "}\n");
	struct policy_identity alice = {.uid = 1002, .gid = 1002};
	static const struct {
		const char *path, *directory;
		size_t length;
	} wanted[] = {
		{"/a/user-1002/x/y", "/a/user-%U/x", sizeof("/a/user-1002/x") - 1},
		{"/b/1002", "/b", 2},
		{"/c/10021/x", "/c", 2},
		{"/d/%/alice/x/y", "/d/%%/%u", sizeof("/d/%/alice") - 1},
		{"/home/alice", "%h", sizeof("/home/alice") - 1},
		{"/home/alice/.config/x", "%h/.config", sizeof("/home/alice/.config") - 1},
		/* The deepest, whatever it is called. */
		{"/home/alice/.config/deep/x", "/home/alice/.config/deep",
			sizeof("/home/alice/.config/deep") - 1},
		{"/e%/x", "/e%", 3},
	};
	struct policy_caller *caller;
	struct policy_user_values user;
	size_t count, tree_count, users = 0;
	const struct policy_directory *list = policy_directories(policy, &count);
	const struct policy_tree *trees = policy_trees(policy, &tree_count);

	(void)state;
	assert_int_equal(policy_caller_new(policy, &alice, &caller), 0);
	assert_int_equal(policy_caller_uid(caller), 1002);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct policy_decision decision = decide(policy, 1002, R, wanted[i].path);
		assert_int_equal(decision.reason, POLICY_ALLOWED);
		assert_string_equal(list[decision.directory].path, wanted[i].directory);
		assert_int_equal(
			policy_directory_length(caller, decision.directory), wanted[i].length);
	}
	policy_caller_free(caller);
	assert_int_equal(tree_count, 2);
	assert_string_equal(trees[0].path, "%h/t%%");
	assert_true(trees[0].variables);
	assert_string_equal(trees[1].path, "/f%");
	assert_false(trees[1].variables);
	for (; policy_user_values(policy, users, &user); users++) {
		if (user.uid == 1002) {
			assert_string_equal(user.user, "alice");
			assert_string_equal(user.home, "/home/alice");
		} else if (user.uid == 1102) {
			/* What could be more than a name is no value. */
			assert_null(user.user);
			assert_null(user.home);
		}
	}
	assert_int_equal(users, 10);
	policy_free(policy);
}

static const char *directory_of(const struct policy *policy, uint32_t rights, const char *path)
{
	struct policy_decision decision = decide(policy, ME, rights, path);
	size_t count;

	assert_int_equal(decision.reason, POLICY_ALLOWED);
	return policy_directories(policy, &count)[decision.directory].path;
}

/* The directory is that of a rule which gives what was decided, however much deeper another lies. */
static void test_which_directory(void **state)
{
	struct policy *policy = load_text("subject s {\nuser 1002\n"
					  "allow read /a/** exec\n"
					  "allow read /a/b/c/*\n"
					  "allow write,create /w/**\n"
					  "allow read,list,watch,readlink /w/b/c/*\n"
					  "allow read /t/**\n"
					  "allow read /t/b/** type fifo\n"
					  "allow read /t/b/c/*\n"
					  "}\n");
	(void)state;
	assert_string_equal(directory_of(policy, R, "/a/b/c/x"), "/a");
	assert_string_equal(directory_of(policy, R, "/w/b/c/x"), "/w/b/c");
	assert_string_equal(directory_of(policy, W, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, R | W, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, W | POLICY_LIST, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, C | POLICY_WATCH, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, W | POLICY_READLINK, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, R, "/t/b/c/x"), "/t/b");
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_directories, files_setup),
		cmocka_unit_test_setup(test_directories_with_variables, files_setup),
		cmocka_unit_test_setup(test_which_directory, files_setup),
	};

	return cmocka_run_group_tests_name("policy-directories", tests, NULL, NULL);
}
