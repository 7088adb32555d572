/* SPDX-License-Identifier: MIT */
/* mounts.c: what is read out of texts of /proc/self/mountinfo. */
#include "mounts.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROOT "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
#define SRV  "30 25 0:30 / /srv rw - tmpfs tmpfs rw\n"
#define SUB  "31 30 0:31 / /srv/www/sub rw - tmpfs tmpfs rw\n"
#define NEAR "32 25 0:32 / /srv-other rw - tmpfs tmpfs rw\n"
#define ODD  "33 25 0:33 / /a\\040b\\134\\011\\012c rw - tmpfs tmpfs rw\n"

static void test_counting(void **state)
{
	static const struct {
		const char *text;
		size_t count;
	} rows[] = {
		{"", 0},
		{ROOT, 1},
		{ROOT SRV, 2},
		{ROOT SRV SUB, 3},
		{ROOT ODD, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mounts_count(rows[i].text), rows[i].count);
}

/* Whether a change from one text to the other is one for the path. */
static void test_signatures(void **state)
{
	static const struct {
		const char *one, *other, *path;
		int changes;
	} rows[] = {
		{ROOT, ROOT SRV, "/srv/www", 1},
		{ROOT, ROOT SRV, "/srv", 1},
		{ROOT, ROOT SRV, "/", 1},
		{ROOT SRV, ROOT SRV SUB, "/srv/www", 1},
		{ROOT SRV, ROOT SRV SUB, "/srv/www/sub/deep", 1},
		{ROOT SRV, ROOT SRV SUB, "/srv/other", 0},
		{ROOT SRV, ROOT SRV NEAR, "/srv/www", 0},
		{ROOT SRV, ROOT SRV NEAR, "/srv", 0},
		{ROOT, ROOT ODD, "/a b\\\t\nc/d", 1},
		{ROOT, ROOT ODD, "/a", 0},
		{ROOT SRV, ROOT "nonsense\n" SRV, "/srv", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mounts_signature(rows[i].one, rows[i].path) !=
					 mounts_signature(rows[i].other, rows[i].path),
			rows[i].changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_signatures),
	};

	return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
