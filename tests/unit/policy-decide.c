/* SPDX-License-Identifier: MIT */
/* policy-decide.c: who has which rights, by all subjects together, and what comes with them. */
#include "policy-support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define R  POLICY_READ
#define W  POLICY_WRITE
#define C  POLICY_CREATE
#define S  POLICY_STAT
#define ME 1002u

static void test_rights(void **state)
{
	struct policy *policy =
		load_text("subject s {\n"
			  "user alice\n"
			  "allow read /r\n"
			  "allow write /w\n"
			  "allow read,write,create /rwc\n"
			  "allow create /c\n"
			  "allow list,watch /l\n"
			  "allow tree /t\n"
			  "allow read /x\n"
			  "allow write /x\n"
			  "allow readlink,mkdir,delete,rename,append,write-tree /o\n"
			  "}\n");
	(void)state;
	assert_true(allowed(policy, ME, R | S, "/r"));
	assert_false(allowed(policy, ME, R | W, "/r"));
	assert_false(allowed(policy, ME, R, "/w"));
	assert_true(allowed(policy, ME, W | S, "/w"));
	assert_true(allowed(policy, ME, R | W | C, "/rwc"));
	/* create alone shows nothing */
	assert_false(allowed(policy, ME, S, "/c"));
	assert_true(allowed(policy, ME, S, "/l"));
	assert_true(allowed(policy, ME, S, "/t"));
	assert_true(allowed(policy, ME, POLICY_WATCH, "/l"));
	/* rules add up */
	assert_true(allowed(policy, ME, R | W, "/x"));
	assert_true(allowed(policy, ME, POLICY_MKDIR | POLICY_RENAME | POLICY_APPEND, "/o"));
	assert_false(allowed(policy, ME, 0, "/r"));
	assert_false(allowed(policy, ME, POLICY_CONNECT, "/r"));
	assert_int_equal(decide(policy, ME, R | W | C, "/r").missing, W | C);
	assert_int_equal(decide(policy, ME, R | W, "/r").reason, POLICY_NO_RULE);
	assert_int_equal(decide(policy, 1003, R, "/r").reason, POLICY_NO_SUBJECT);
	policy_free(policy);
}

static void test_callers(void **state)
{
	struct policy *policy =
		load_text("subject a {\nuser 1001 2000-2999\nallow read /u\n}\n"
			  "subject b {\ngroup adm logs\nallow read /g\n}\n"
			  "subject c {\nuser alice bob\ngroup adm\nallow read /ug\n}\n"
			  "subject d {\nuser *\nallow read /all\n}\n"
			  "subject e {\nuser *\ngroup *\nallow read /every\n}\n"
			  "subject f {\nuser 60000-70000\nallow read /range\n}\n");
	gid_t adm[] = {7, 4}, overflow[] = {65534};
	struct policy_identity alice = {.uid = 1002, .gid = 1002, .groups = adm, .group_count = 2};
	struct policy_identity unmapped = {.uid = 65534, .gid = 4, .groups = adm, .group_count = 2};
	struct policy_identity no_group = {
		.uid = 65000, .gid = 65534, .groups = overflow, .group_count = 1};
	(void)state;
	assert_true(allowed(policy, 1001, R, "/u"));
	assert_true(allowed(policy, 2500, R, "/u"));
	assert_false(allowed(policy, 3000, R, "/u"));
	assert_true(allowed(policy, 4, R, "/g"));
	assert_true(allowed(policy, 30, R, "/g"));
	assert_false(allowed(policy, 1002, R, "/ug"));
	assert_int_equal(decide_as(policy, &alice, R, "/ug").reason, POLICY_ALLOWED);
	assert_true(allowed(policy, 12345, R, "/all"));
	assert_true(allowed(policy, 12345, R, "/every"));
	/* Who is not mapped matches nothing: neither by number nor by a range or `*` around it. */
	assert_int_equal(decide_as(policy, &unmapped, R, "/all").reason, POLICY_NO_SUBJECT);
	assert_int_equal(decide_as(policy, &unmapped, R, "/g").reason, POLICY_NO_SUBJECT);
	assert_int_equal(decide_as(policy, &no_group, R, "/range").reason, POLICY_ALLOWED);
	assert_int_equal(decide_as(policy, &no_group, R, "/every").reason, POLICY_NO_RULE);
	assert_int_equal(decide(policy, (uid_t)-1, R, "/all").reason, POLICY_NO_SUBJECT);
	policy_free(policy);
}

static void test_narrowing(void **state)
{
	struct policy *policy = load_text(
		"subject a {\nuser *\nexe /usr/bin/x /usr/bin/y\nallow read /e\nlog grants\n}\n"
		"subject b {\nuser *\nunit x.service\nallow read /u\n}\n"
		"subject c {\nuser *\nlabel web\nallow read /l\n}\n"
		"subject d {\nuser *\nvia /run/x @y\nallow read /v\ndelegate\n}\n");
	const char *exes[] = {"/usr/bin/y"};
	struct policy_identity all = {.uid = 5,
		.gid = 5,
		.exes = exes,
		.exe_count = 1,
		.unit = "x.service",
		.label = "web",
		.via = "@y"};
	struct policy_identity none = {.uid = 5, .gid = 5};
	struct policy_identity only_via = {.uid = 5, .gid = 5, .via = "@y"};
	struct policy_caller *caller;
	size_t count;
	static const char *const paths[] = {"/e", "/u", "/l", "/v"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(decide_as(policy, &all, R, paths[i]).reason, POLICY_ALLOWED);
		assert_int_equal(decide_as(policy, &none, R, paths[i]).reason, POLICY_NO_SUBJECT);
	}
	assert_string_equal(policy_exes(policy, &count)[1], "/usr/bin/y");
	assert_int_equal(count, 2);
	assert_true(policy_wants_unit(policy));
	assert_int_equal(policy_caller_new(policy, &all, &caller), 0);
	assert_int_equal(policy_caller_subjects(caller), 4);
	assert_string_equal(policy_caller_subject(caller, 3), "d");
	/* One subject delegates and three do not. */
	assert_false(policy_caller_delegates(caller));
	/* One says that grants are recorded: that is enough. */
	assert_true(policy_caller_logs_grants(caller));
	policy_caller_free(caller);
	assert_int_equal(policy_caller_new(policy, &only_via, &caller), 0);
	assert_true(policy_caller_delegates(caller));
	policy_caller_free(caller);
	assert_int_equal(policy_caller_new(policy, &none, &caller), 0);
	assert_false(policy_caller_delegates(caller));
	assert_false(policy_caller_logs_grants(caller));
	policy_caller_free(caller);
	policy_free(policy);
}

/* A deny of any subject that matches beats the allows of all. */
static void test_denies_across_subjects(void **state)
{
	struct policy *policy = load_text("subject a {\nuser alice bob\nallow read,write /a/**\n}\n"
					  "subject b {\ngroup adm\ndeny write /a/b\n}\n");
	gid_t adm[] = {4};
	struct policy_identity alice = {.uid = 1002, .gid = 1002, .groups = adm, .group_count = 1};
	struct policy_decision decision;

	(void)state;
	assert_true(allowed(policy, ME, R | W, "/a/b/c"));
	decision = decide_as(policy, &alice, R | W, "/a/b/c");
	assert_int_equal(decision.reason, POLICY_DENY_RULE);
	assert_int_equal(decision.missing, W);
	assert_string_equal(decision.rule->subject, "b");
	assert_int_equal(decision.rule->line, 7);
	assert_string_equal(decision.rule->file, TEST_FILE);
	assert_int_equal(decide_as(policy, &alice, R, "/a/b/c").reason, POLICY_ALLOWED);
	policy_free(policy);
}

static void test_modifiers(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\n"
			  "allow read,write,create /a/** mode 0666 owner alice:adm\n"
			  "allow create /a/b/* mode 0640 owner alice:adm\n"
			  "allow create /a/c/* owner bob\n"
			  "allow read /d/* type chardev,fifo\n"
			  "allow read,write /d/x* type chardev\n"
			  "allow write /d/y\n"
			  "allow read /x/**\n"
			  "allow read /x/bin/* exec\n"
			  "allow create /plain\n"
			  "allow read /t/** timeout 9\n"
			  "allow read,write /t/x timeout 5\n"
			  "allow read /t/x\n"
			  "allow write /t/x timeout 3\n"
			  "}\n");
	struct policy_decision decision = decide(policy, 5, R | W | C, "/a/x");

	(void)state;
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_int_equal(decision.mode, 0666);
	assert_int_equal(decision.owner, 1002);
	assert_int_equal(decision.group, 4);
	decision = decide(policy, 5, R | W | C, "/a/b/x");
	assert_int_equal(decision.mode, 0640);
	assert_int_equal(decide(policy, 5, C, "/a/c/x").reason, POLICY_OWNERS_DIFFER);
	assert_int_equal(decide(policy, 5, R, "/t/y").timeout, 9);
	assert_int_equal(decide(policy, 5, R, "/t/x").timeout, 5);
	assert_int_equal(decide(policy, 5, R | W, "/t/x").timeout, 3);
	assert_int_equal(decide(policy, 5, R, "/x/y").timeout, 0);
	assert_int_equal(decide(policy, 5, R, "/a/c/x").reason, POLICY_ALLOWED);
	decision = decide(policy, 5, C, "/plain");
	assert_int_equal(decision.mode, 0644);
	assert_int_equal(decision.owner, POLICY_OWNER_CALLER);
	assert_int_equal(decision.group, POLICY_GROUP_CALLER);
	assert_int_equal(
		decide(policy, 5, R, "/d/x1").types, POLICY_TYPE_CHARDEV | POLICY_TYPE_FIFO);
	assert_int_equal(decide(policy, 5, R | W, "/d/x1").types, POLICY_TYPE_CHARDEV);
	/* Read of a device and write of a file do not make write of a device. */
	assert_int_equal(decide(policy, 5, R | W, "/d/y").types, 0);
	assert_true(decide(policy, 5, R, "/x/bin/y").exec);
	assert_false(decide(policy, 5, R, "/x/y").exec);
	policy_free(policy);
}

/* Many subjects at one node, so that both ways through its entries are taken. */
static void test_many_subjects(void **state)
{
	size_t size = 1000 * 80;
	char *text = malloc(size), *at = text;
	struct policy *policy;
	gid_t all[300];
	struct policy_identity many = {.uid = 5, .gid = 5, .groups = all, .group_count = 300};

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		at += sprintf(at, "subject s%u {\ngroup %u\nallow read /a/x\n%s\n}\n", i, 10000 + i,
			i % 7 == 3 ? "deny write /a" : "allow write /a/*");
	policy = load_text(text);
	for (unsigned int i = 0; i < 1000; i++) {
		struct policy_decision decision = decide(policy, 10000 + i, R, "/a/x");
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(decision.reason, POLICY_ALLOWED);
		assert_string_equal(decision.rule->subject, name);
		assert_true(allowed(policy, 10000 + i, W, "/a/x") == (i % 7 != 3));
	}
	assert_false(allowed(policy, 9999, R, "/a/x"));
	for (unsigned int i = 0; i < 300; i++)
		all[i] = 10400 + i;
	assert_string_equal(decide_as(policy, &many, R, "/a/x").rule->subject, "s400");
	assert_string_equal(decide_as(policy, &many, W, "/a/x").rule->subject, "s402");
	policy_free(policy);
	free(text);
}

static void test_limits(void **state)
{
	struct policy *policy =
		load_text("subject a {\nuser *\n"
			  "limit connections 8\nlimit rate 1000/s burst 200\n"
			  "limit connections 64 total\n}\n"
			  "subject b {\nuser alice\n"
			  "limit connections 4\nlimit rate none\nlimit opens none\n}\n");
	struct policy_identity identity = {.uid = 1002, .gid = 1002};
	struct policy_caller *caller;
	struct policy_limits limits;
	uint32_t subject;

	(void)state;
	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	policy_caller_limits(caller, &limits);
	assert_int_equal(limits.connections, 4);
	assert_int_equal(limits.rate, 1000);
	assert_int_equal(limits.burst, 200);
	assert_int_equal(limits.opens, POLICY_LIMIT_NONE);
	assert_int_equal(limits.descriptors, POLICY_LIMIT_UNSAID);
	assert_int_equal(policy_caller_totals(caller, 0, &subject)->connections, 64);
	assert_int_equal(subject, 0);
	assert_int_equal(
		policy_caller_totals(caller, 1, &subject)->connections, POLICY_LIMIT_UNSAID);
	assert_int_equal(subject, 1);
	policy_caller_free(caller);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rights, files_setup),
		cmocka_unit_test_setup(test_callers, files_setup),
		cmocka_unit_test_setup(test_narrowing, files_setup),
		cmocka_unit_test_setup(test_denies_across_subjects, files_setup),
		cmocka_unit_test_setup(test_modifiers, files_setup),
		cmocka_unit_test_setup(test_many_subjects, files_setup),
		cmocka_unit_test_setup(test_limits, files_setup),
	};

	return cmocka_run_group_tests_name("policy-decide", tests, NULL, NULL);
}
