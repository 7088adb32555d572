/* SPDX-License-Identifier: MIT */
/* policy-trees.c: what concerns all beneath a directory: handing it out as a tree, and moving it. */
#include "policy-support.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_trees(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow tree /srv/a idmap 0 caller\n"
					  "allow tree /srv/b idmap 5 100 7 exec\n"
					  "allow write-tree /srv/w/%U %h/t\n"
					  "allow tree /srv/c /srv/d /srv/e /srv/up/x\n"
					  "}\n"
					  "subject t {\nuser bob\n"
					  "deny read /srv/c/x /srv/**/secret\n"
					  "deny write /srv/up\n"
					  "deny list %h/t/z\n"
					  "}\n");
	struct policy_identity alice = {.uid = 1002, .gid = 1002};
	struct policy_decision decision;
	size_t count;
	const struct policy_tree *trees = policy_trees(policy, &count);

	(void)state;
	assert_int_equal(count, 8);
	assert_int_equal(policy_ask(policy, &alice, POLICY_TREE, "/srv/a", &decision), 0);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_string_equal(trees[decision.directory].path, "/srv/a");
	assert_true(trees[decision.directory].idmap);
	assert_int_equal(trees[decision.directory].idmap_to, POLICY_OWNER_CALLER);
	policy_ask(policy, &alice, POLICY_TREE, "/srv/b", &decision);
	assert_int_equal(trees[decision.directory].idmap_from, 5);
	assert_int_equal(trees[decision.directory].idmap_to, 100);
	assert_int_equal(trees[decision.directory].idmap_count, 7);
	assert_true(trees[decision.directory].exec);
	policy_ask(policy, &alice, POLICY_WRITE_TREE, "/srv/w/1002", &decision);
	assert_string_equal(trees[decision.directory].path, "/srv/w/%U");
	assert_int_equal(reason_of(policy, 1002, POLICY_WRITE_TREE, "/srv/a"), POLICY_NO_RULE);
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/srv/a/x"), POLICY_NO_RULE);
	assert_int_equal(reason_of(policy, 1002, POLICY_WRITE_TREE, "/srv/w/1003"), POLICY_NO_RULE);
	/* A deny of another subject, of any right, beneath or above. */
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/srv/c"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/srv/c"), POLICY_DENY_RULE);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/srv/d"), POLICY_DENY_RULE);
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/srv/up/x"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/srv/up/x"), POLICY_DENY_RULE);
	assert_int_equal(
		reason_of(policy, 1002, POLICY_WRITE_TREE, "/home/alice/t"), POLICY_ALLOWED);
	assert_int_equal(
		reason_of(policy, 1003, POLICY_WRITE_TREE, "/home/bob/t"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* Two rules that disagree about ids; and a deny of a home beneath a tree. */
static void test_tree_conflicts(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\nallow tree /srv/e /home\n}\n"
			  "subject t {\nuser bob\nallow tree /srv/e idmap 0 caller\n}\n"
			  "subject u {\nuser alice\ndeny read %h/x\n}\n");
	(void)state;
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/srv/e"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/srv/e"), POLICY_OWNERS_DIFFER);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/home"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/home"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* Who lacks a value is denied by what uses it, everywhere; but a deny of addresses is none of files. */
static void test_lacking_value(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\nallow tree /t\nallow rename /r/**\n"
					  "allow connect unix:/x\ndeny connect unix:/run/%u\n}\n");
	struct policy_identity identity = {.uid = 4242, .gid = 4242};
	struct policy_decision decision;
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	uint32_t from;

	(void)state;
	assert_int_equal(reason_of(policy, 4242, POLICY_TREE, "/t"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 4242, POLICY_CONNECT, "unix:/x"), POLICY_DENY_RULE);
	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	assert_int_equal(policy_scratch_new(policy, &scratch), 0);
	policy_decide_move(policy, caller, scratch, POLICY_RENAME, true, "/r/a", 4, "/r/b", 4,
		&decision, &from);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	policy_free(policy);
	files_reset();
	policy = load_text("subject s {\nuser *\nallow tree /t\ndeny read /run/%u\n}\n");
	assert_int_equal(reason_of(policy, 4242, POLICY_TREE, "/t"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* A deny above a tree, of the tree's own subject, whose path is known only with its variable. */
static void test_tree_beneath_deny(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\nallow tree /srv/%U\n}\n"
					  "subject t {\nuser alice\ndeny watch /srv\n}\n"
					  "subject u {\nuser *\nallow tree /i idmap 0 5 1\n}\n"
					  "subject v {\nuser bob\nallow tree /i idmap 0 6 1\n}\n");

	(void)state;
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/srv/1003"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/srv/1002"), POLICY_DENY_RULE);
	/* Ids that differ in where they go alone. */
	assert_int_equal(reason_of(policy, 1002, POLICY_TREE, "/i"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 1003, POLICY_TREE, "/i"), POLICY_OWNERS_DIFFER);
	policy_free(policy);
}

static enum policy_reason move_by(const struct policy *policy, uint32_t right, bool is_directory,
	const char *from, const char *to, uint32_t *missing)
{
	struct policy_identity identity = {.uid = 1002, .gid = 1002};
	struct policy_decision decision;
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	uint32_t from_directory;

	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	assert_int_equal(policy_scratch_new(policy, &scratch), 0);
	policy_decide_move(policy, caller, scratch, right, is_directory, from, strlen(from), to,
		strlen(to), &decision, &from_directory);
	*missing = decision.missing;
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	return decision.reason;
}

static enum policy_reason move(const struct policy *policy, bool is_directory, const char *from,
	const char *to, uint32_t *missing)
{
	return move_by(policy, POLICY_RENAME, is_directory, from, to, missing);
}

/* What only exec or a type gives is a right like any other; and a link is a way to read. */
static void test_moves_gain_nothing(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow rename /plain/** /exec/** /fifo/**\n"
					  "allow read /plain/** /exec/** /fifo/**\n"
					  "allow read /exec/** exec\n"
					  "allow read /fifo/** type fifo\n"
					  "allow create /l/* /m/*\n"
					  "allow read /l/*\n"
					  "}\n");
	uint32_t missing;

	(void)state;
	for (unsigned int directory = 0; directory < 2; directory++) {
		assert_int_equal(
			move(policy, directory, "/plain/x", "/exec/x", &missing), POLICY_NO_RULE);
		assert_int_equal(
			move(policy, directory, "/plain/x", "/fifo/x", &missing), POLICY_NO_RULE);
		assert_int_equal(
			move(policy, directory, "/fifo/x", "/exec/x", &missing), POLICY_NO_RULE);
	}
	assert_int_equal(move(policy, false, "/plain/x", "/exec/x", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ | POLICY_STAT);
	assert_int_equal(move(policy, false, "/exec/x", "/plain/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/fifo/x", "/plain/x", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/l/a", "/l/b", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/l/a", "/m/b", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/m/a", "/m/b", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ);
	policy_free(policy);
}

static void test_moves(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow rename /a/** /b/** /c/* /e/*\n"
					  "allow read /b/** /c/** /a/r/**\n"
					  "allow read /d/**\n"
					  "deny write /a/secret/x\n"
					  "deny write /b/w*\n"
					  "}\n");
	uint32_t missing;

	(void)state;
	assert_int_equal(move(policy, false, "/a/x", "/a/y", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/b/x", "/b/y", &missing), POLICY_ALLOWED);
	/* Reading where it is moved to, but not where it was: no way to read it so. */
	assert_int_equal(move(policy, false, "/a/x", "/b/x", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ | POLICY_STAT);
	/* Losing a right is fine. */
	assert_int_equal(move(policy, false, "/b/x", "/a/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/d/x", "/b/x", &missing), POLICY_NO_RULE);
	assert_int_equal(move(policy, false, "/a/x", "/z/x", &missing), POLICY_NO_RULE);
	/* A deny of any right at either end. */
	assert_int_equal(move(policy, false, "/b/wx", "/b/y", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, false, "/b/y", "/b/wx", &missing), POLICY_DENY_RULE);
	/* Of a directory, beneath it too; of a file that is not possible. */
	assert_int_equal(move(policy, false, "/a/secret", "/a/y", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, true, "/a/secret", "/a/y", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, true, "/a/y", "/a/secret", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, true, "/a/x", "/a/y", &missing), POLICY_ALLOWED);
	/* The rights of the name are equal, but not those beneath it. */
	assert_int_equal(move(policy, true, "/a/x", "/a/r", &missing), POLICY_NO_RULE);
	assert_int_equal(move(policy, true, "/a/r", "/a/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, true, "/e/x", "/c/x", &missing), POLICY_NO_RULE);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_trees, files_setup),
		cmocka_unit_test_setup(test_tree_conflicts, files_setup),
		cmocka_unit_test_setup(test_lacking_value, files_setup),
		cmocka_unit_test_setup(test_tree_beneath_deny, files_setup),
		cmocka_unit_test_setup(test_moves, files_setup),
		cmocka_unit_test_setup(test_moves_gain_nothing, files_setup),
	};

	return cmocka_run_group_tests_name("policy-trees", tests, NULL, NULL);
}
