/* SPDX-License-Identifier: MIT */
/* What becomes of a directory with variables, and what a worker may say about users. */
#include "template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct template_users users;

static int remember(uint32_t uid, const char *text)
{
	struct channel_message message = {.type = CHANNEL_USER, .uid = uid};

	strcpy(message.text, text);
	return template_remember(&users, &message);
}

static void forget(void)
{
	for (size_t i = 0; i < users.count; i++) {
		free(users.list[i].name);
		free(users.list[i].home);
	}
	free(users.list);
	users = (struct template_users){0};
}

static void test_expanding(void **state)
{
	static const struct {
		const char *text;
		uint32_t uid;
		int error;
		const char *path;
	} rows[] = {
		{"/srv/%U", 7, 0, "/srv/7"},
		{"/srv/%U", 4294967293, 0, "/srv/4294967293"},
		{"/srv/a-%u-%U/b", 1000, 0, "/srv/a-ann-1000/b"},
		{"%h/.config", 1000, 0, "/home/ann/.config"},
		{"%h", 1000, 0, "/home/ann"},
		{"/100%%/%%U", 1000, 0, "/100%/%U"},
		/* No such user; one without a home, or without a name. */
		{"%h", 1001, -ENOENT, NULL},
		{"/srv/%u", 1001, -ENOENT, NULL},
		{"%h", 1002, -ENOENT, NULL},
		{"/srv/%u", 1002, 0, "/srv/ben"},
		{"/srv/%u", 1003, -ENOENT, NULL},
		{"%h", 1003, 0, "/home/x"},
		{"%h", 4000, 0, "/home/4000"},
		/* What is no canonical path is none, whatever was said. */
		{"/srv/%u", 1004, -EINVAL, NULL},
		{"%h/x", 1005, -EINVAL, NULL},
		{"%h/x", 1006, -EINVAL, NULL},
		{"%h", 1007, -EINVAL, NULL},
		{"/srv/%", 1000, -EINVAL, NULL},
		{"/srv/%x", 1000, -ENOENT, NULL},
		{"srv/%U", 1000, -EINVAL, NULL},
	};
	char path[CHANNEL_TEXT_MAX + 1], text[CHANNEL_TEXT_MAX + 1];

	(void)state;
	assert_int_equal(remember(1000, "ann/home/ann"), 0);
	assert_int_equal(remember(1002, "ben"), 0);
	assert_int_equal(remember(1003, "/home/x"), 0);
	assert_int_equal(remember(1004, ".."), 0);
	assert_int_equal(remember(1005, "a/home/../etc"), 0);
	assert_int_equal(remember(1006, "a/"), 0);
	assert_int_equal(remember(1007, "a/home//x"), 0);
	for (uint32_t uid = 2000; uid <= 4000; uid++)
		assert_int_equal(remember(uid, "u/home/4000"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int error = template_expand(&users, rows[i].text, rows[i].uid, path);
		if (error != rows[i].error || (!error && strcmp(path, rows[i].path) != 0))
			fail_msg("%s for %u: %d %s", rows[i].text, rows[i].uid, error,
				error ? "" : path);
	}
	/* As long as a path can be, and one byte longer. */
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	memcpy(text + CHANNEL_TEXT_MAX - 2, "%U", 3);
	assert_int_equal(template_expand(&users, text, 10, path), 0);
	assert_int_equal(strlen(path), CHANNEL_TEXT_MAX);
	assert_int_equal(template_expand(&users, text, 100, path), -ENAMETOOLONG);
	forget();
}

static void test_users_are_named_in_order(void **state)
{
	(void)state;
	assert_int_equal(remember(5, "a"), 0);
	assert_int_equal(remember(5, "b"), -EPROTO);
	assert_int_equal(remember(4, "b"), -EPROTO);
	assert_int_equal(remember(6, ""), 0);
	assert_int_equal(users.count, 2);
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expanding),
		cmocka_unit_test(test_users_are_named_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
