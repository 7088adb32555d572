/* SPDX-License-Identifier: MIT */
/* moving.c: which moves rule each other out. */
#include "moving.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* Begins one at a name of a directory. */
static bool begin(struct moving *moving, const char *directory, const char *name, bool stays_file,
	bool directory_may)
{
	int descriptor = open(directory, O_PATH | O_DIRECTORY);

	moving->count = 0;
	assert_int_equal(moving_add(moving, descriptor, name, stays_file, directory_may), 0);
	close(descriptor);
	return moving_begin(moving);
}

static void test_one_name(void **state)
{
	struct moving one, other, third;

	(void)state;
	assert_true(begin(&one, "/", "x", true, false));
	assert_false(begin(&other, "/", "x", false, true));
	/* Two files, another name, another directory. */
	assert_true(begin(&other, "/", "x", true, false));
	assert_true(begin(&third, "/", "xy", false, true));
	moving_end(&third);
	assert_true(begin(&third, "/proc", "x", false, true));
	moving_end(&third);
	moving_end(&one);
	assert_false(begin(&third, "/", "x", false, true));
	moving_end(&other);
	assert_true(begin(&third, "/", "x", false, true));
	/* The other way round; and two directories. */
	assert_false(begin(&one, "/", "x", true, false));
	assert_true(begin(&one, "/", "x", false, true));
	moving_end(&third);
	moving_end(&one);
	assert_true(begin(&one, "/", "x", true, false));
	moving_end(&one);
}

static void test_two_names(void **state)
{
	int root = open("/", O_PATH | O_DIRECTORY);
	struct moving exchange = {.count = 0}, other;

	(void)state;
	/* Nobody is in his own way. */
	assert_int_equal(moving_add(&exchange, root, "a", true, true), 0);
	assert_int_equal(moving_add(&exchange, root, "b", true, true), 0);
	assert_true(moving_begin(&exchange));
	assert_false(begin(&other, "/", "a", false, true));
	assert_false(begin(&other, "/", "b", false, true));
	assert_false(begin(&other, "/", "b", true, false));
	assert_true(begin(&other, "/", "c", true, true));
	moving_end(&exchange);
	moving_end(&other);
	assert_int_equal(moving_add(&exchange, -1, "a", true, true), -EBADF);
	close(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_two_names),
	};

	return cmocka_run_group_tests_name("moving", tests, NULL, NULL);
}
