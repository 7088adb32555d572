/* SPDX-License-Identifier: MIT */
/* What Landlock denies, by the version of its interface and by the policy's rights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accesses.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NEWEST 99
/* The file accesses that are not of the first version: landlock(7). */
#define FIRST	  0x1fffu
#define REFER	  0x2000u
#define TRUNCATE  0x4000u
#define IOCTL_DEV 0x8000u

static struct accesses deny(uint32_t rights, int version)
{
	struct accesses denied;

	accesses_deny(rights, version, &denied);
	return denied;
}

/* What a kernel does not know it refuses to handle. */
static void test_each_version_denies_what_it_knows(void **state)
{
	static const struct {
		int version;
		struct accesses denied;
	} all[] = {
		{0, {0, 0, 0}},
		{1, {FIRST, 0, 0}},
		{2, {FIRST | REFER, 0, 0}},
		{3, {FIRST | REFER | TRUNCATE, 0, 0}},
		{4, {FIRST | REFER | TRUNCATE, 3, 0}},
		{5, {FIRST | REFER | TRUNCATE | IOCTL_DEV, 3, 0}},
		{ACCESSES_VERSION, {FIRST | REFER | TRUNCATE | IOCTL_DEV, 3, 3}},
		{NEWEST, {FIRST | REFER | TRUNCATE | IOCTL_DEV, 3, 3}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct accesses denied = deny(0, all[i].version);
		assert_int_equal(denied.files, all[i].denied.files);
		assert_int_equal(denied.network, all[i].denied.network);
		assert_int_equal(denied.scopes, all[i].denied.scopes);
	}
}

static void test_more_rights_are_denied_no_more(void **state)
{
	const uint32_t all = POLICY_PATH_RIGHTS | POLICY_ADDRESS_RIGHTS;

	(void)state;
	for (uint32_t rights = 0; rights <= all; rights++)
		for (uint32_t right = 1; right < all; right <<= 1) {
			uint64_t less = deny(rights, NEWEST).files;
			uint64_t more = deny(rights | right, NEWEST).files;
			assert_int_equal(more & ~less, 0);
		}
}

static bool denies(uint32_t rights, const char *access)
{
	struct accesses denied = deny(rights, NEWEST);
	char text[ACCESSES_TEXT];

	accesses_print(&denied, text, sizeof(text));
	for (char *rest = text, *name; (name = strsep(&rest, " "));)
		if (strcmp(name, access) == 0)
			return true;
	return false;
}

/* An error of that is a request that is granted and fails, or an attacker that is not kept. */
static void test_the_rights_that_take_an_access(void **state)
{
	static const struct {
		const char *access;
		uint32_t taking; /* of those that are not in ACCESSES_REFER */
	} all[] = {
		{"execute", 0},
		{"write_file", POLICY_WRITE | POLICY_APPEND},
		{"read_file", POLICY_READ | POLICY_WRITE},
		{"read_dir", POLICY_PATH_RIGHTS},
		{"remove_dir", POLICY_DELETE | POLICY_MKDIR},
		{"remove_file", POLICY_DELETE},
		{"make_char", 0},
		{"make_dir", POLICY_MKDIR},
		{"make_reg", 0},
		{"make_sock", 0},
		{"make_fifo", 0},
		{"make_block", 0},
		{"make_sym", 0},
		{"refer", 0},
		{"truncate", POLICY_WRITE | POLICY_APPEND},
		{"ioctl_dev", 0},
	};

	(void)state;
	for (uint32_t right = 1; right <= POLICY_BIND; right <<= 1)
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			assert_int_equal(denies(right, all[i].access),
				!(right & (all[i].taking | ACCESSES_REFER)));
}

static void test_links_and_renames_leave_no_access_to_files_denied(void **state)
{
	char text[ACCESSES_TEXT];

	(void)state;
	for (uint32_t right = 1; right <= POLICY_BIND; right <<= 1) {
		bool refers = right & (POLICY_CREATE | POLICY_RENAME);
		assert_int_equal(deny(right, NEWEST).files == 0, refers);
	}
	/* What is left is so for any policy. */
	assert_true(denies(POLICY_CREATE, "bind_tcp") && denies(POLICY_RENAME, "signal"));
	struct accesses denied = deny(POLICY_CREATE, 3);
	accesses_print(&denied, text, sizeof(text));
	assert_string_equal(text, "none");
}

static void test_the_text_has_room(void **state)
{
	struct accesses denied = deny(0, NEWEST);
	char text[ACCESSES_TEXT], longer[2 * ACCESSES_TEXT], shorter[10];

	(void)state;
	accesses_print(&denied, text, sizeof(text));
	accesses_print(&denied, longer, sizeof(longer));
	assert_string_equal(text, longer);
	accesses_print(&denied, shorter, sizeof(shorter));
	assert_string_equal(shorter, "execute w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_version_denies_what_it_knows),
		cmocka_unit_test(test_more_rights_are_denied_no_more),
		cmocka_unit_test(test_the_rights_that_take_an_access),
		cmocka_unit_test(test_links_and_renames_leave_no_access_to_files_denied),
		cmocka_unit_test(test_the_text_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
