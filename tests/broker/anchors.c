/* SPDX-License-Identifier: MIT */
/* Anchors: themselves while there are few, common ancestors when there are many, and always above the path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "anchors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *const *paths, size_t count, size_t most, const char *wanted)
{
	struct anchor anchors[16];
	char text[512] = "";

	assert_int_equal(anchors_choose(paths, count, most, anchors), 0);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "%.*s:%u ", (int)anchors[i].length,
			paths[i], (unsigned int)anchors[i].first);
	}
	assert_string_equal(text, wanted);
}

static void test_few(void **state)
{
	static const char *const paths[] = {"/", "/a", "/a/b", "/a-b", "/a/b/c", "/a/bc"};

	(void)state;
	check(paths, 6, 10, "/:0 /a:1 /a/b:2 /a-b:3 /a/b/c:4 /a/bc:5 ");
	check(paths, 6, 6, "/:0 /a:1 /a/b:2 /a-b:3 /a/b/c:4 /a/bc:5 ");
	check(paths, 6, 5, "/:0 /a:1 /a/b:2 /a-b:3 /a/b:2 /a/bc:5 ");
	check(paths, 6, 4, "/:0 /a:1 /a:1 /a-b:3 /a:1 /a:1 ");
	check(paths, 6, 3, "/:0 /a:1 /a:1 /a-b:3 /a:1 /a:1 ");
	check(paths, 6, 2, "/:0 /:0 /:0 /:0 /:0 /:0 ");
	check(paths, 0, 10, "");
}

static void test_many(void **state)
{
	enum { COUNT = 50000 };
	char **paths = calloc(COUNT, sizeof(*paths));
	struct anchor *anchors = calloc(COUNT, sizeof(*anchors));
	size_t different = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		assert_true(asprintf(&paths[i], "/srv/%d/%d", i % 100, i) > 0);
	assert_int_equal(anchors_choose((const char *const *)paths, COUNT, 1000, anchors), 0);
	for (uint32_t i = 0; i < COUNT; i++) {
		different += anchors[i].first == i;
		assert_int_equal(anchors[i].length, anchors[anchors[i].first].length);
		assert_memory_equal(paths[i], paths[anchors[i].first], anchors[i].length);
	}
	assert_int_equal(different, 100);
	for (int i = 0; i < COUNT; i++)
		free(paths[i]);
	free(paths);
	free(anchors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("anchors", tests, NULL, NULL);
}
