/* SPDX-License-Identifier: MIT */
/* policy-ask.c: what an administrator asks: expectations and explanations. */
#include "policy-support.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_expects(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser alice\ngroup adm\nallow read /x/*\n}\n"
			  "expect allow user alice group logs group adm read /x/a /x/b\n"
			  "expect deny user 77 connect tcp:[::1]:80\n");
	struct policy_decision decision;
	size_t count;
	const struct policy_expectation *list = policy_expectations(policy, &count);

	(void)state;
	assert_int_equal(count, 3);
	assert_string_equal(list[1].target, "/x/b");
	assert_int_equal(list[1].line, 6);
	assert_int_equal(list[1].column, 56);
	assert_int_equal(list[0].identity.uid, 1002);
	assert_int_equal(list[0].identity.gid, 1002);
	assert_int_equal(list[0].identity.group_count, 2);
	policy_ask(policy, &list[0].identity, list[0].rights, list[0].target, &decision);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_int_equal(list[2].identity.gid, (gid_t)-1);
	policy_free(policy);
	/* A number is the user whose it is, as `fdbroker explain` has it. */
	files_reset();
	policy = load_text("expect deny user 1002 read /x\n");
	assert_int_equal(policy_expectations(policy, &count)->identity.gid, 1002);
	policy_free(policy);
	files_reset();
	assert_string_equal(load_wrong("expect deny user 4444 read /x\n", 0),
		"1:18: error: cannot look up the uid 4444: Input/output error");
}

/* What is explained is what is decided, whatever is asked. */
static void test_explain_agrees(void **state)
{
	struct policy *policy = load_text("map /m /x\nsubject s {\nuser alice\n"
					  "allow read /x/* /x/y/**\ndeny read /x/*.key\n}\n"
					  "subject t {\ngroup adm\nallow write /x/*\n}\n");
	static const char *const paths[] = {
		"/x/a", "/m/a", "/x/a.key", "/m/y/a.key", "/m/a/b", "/q", "/x", "/m"};
	static const uint32_t rights[] = {POLICY_READ, POLICY_WRITE, POLICY_READ | POLICY_WRITE};
	struct policy_explanation *explanation = malloc(sizeof(*explanation));

	(void)state;
	for (unsigned int i = 0; i < 8 * 3 * 3; i++) {
		struct policy_identity identity = {
			.uid = i % 3 ? 1002 : 1003, .gid = i % 3 == 1 ? 4 : 9};
		uint32_t right = rights[i / 3 % 3];
		char mapped[POLICY_PATH_BUFFER];
		struct policy_decision decision;

		policy_map(policy, paths[i / 9], strlen(paths[i / 9]), mapped);
		decision = decide_as(policy, &identity, right, mapped);
		assert_int_equal(
			policy_explain(policy, &identity, right, paths[i / 9], explanation), 0);
		assert_int_equal(explanation->decision.reason, decision.reason);
		assert_int_equal(explanation->decision.missing, decision.missing);
		assert_ptr_equal(explanation->decision.rule, decision.rule);
		assert_string_equal(explanation->target, mapped);
	}
	free(explanation);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_expects, files_setup),
		cmocka_unit_test_setup(test_explain_agrees, files_setup),
	};

	return cmocka_run_group_tests_name("policy-ask", tests, NULL, NULL);
}
