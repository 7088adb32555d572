/* SPDX-License-Identifier: MIT */
/* Counting connections: each uid its own, up to its limit, and back to nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quota.h"

#include <errno.h>

static void test_limits(void **state)
{
	struct quota *quota = quota_new();
	bool first;

	(void)state;
	assert_non_null(quota);
	for (int i = 0; i < 3; i++)
		assert_int_equal(quota_take(quota, 5001, 3, &first), 0);
	assert_int_equal(quota_take(quota, 5001, 3, &first), -EDQUOT);
	/* Another uid has its own. */
	assert_int_equal(quota_take(quota, 5002, 3, &first), 0);
	quota_give_back(quota, 5001);
	assert_int_equal(quota_take(quota, 5001, 3, &first), 0);
	assert_int_equal(quota_take(quota, 5003, 0, &first), -EDQUOT);
	for (int i = 0; i < 3; i++)
		quota_give_back(quota, 5001);
	quota_give_back(quota, 5002);
	quota_free(quota);
}

/* Many uids, as ranges and far apart, taken and given back in different orders. */
static void test_many(void **state)
{
	struct quota *quota = quota_new();
	bool first;

	(void)state;
	for (uid_t uid = 0; uid < 20000; uid++) {
		assert_int_equal(quota_take(quota, uid, 2, &first), 0);
		assert_int_equal(quota_take(quota, uid * 65536u + 7, UINT32_MAX, &first), 0);
	}
	for (uid_t uid = 20000; uid-- > 0;)
		quota_give_back(quota, uid * 65536u + 7);
	for (uid_t uid = 0; uid < 20000; uid++) {
		assert_int_equal(quota_take(quota, uid, 1, &first), -EDQUOT);
		quota_give_back(quota, uid);
	}
	quota_free(quota);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
