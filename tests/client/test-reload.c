// SPDX-License-Identifier: MIT
/*
 * test-reload.c: fdbroker_reload, the one call that gets text with an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

static const struct reload_case {
	const char *name;
	struct fake_turn turn;
	int error;	  /* that the call gives */
	const char *text; /* that comes with it, or NULL */
} cases[] = {
	{"served", {}, 0, NULL},
	{"served, with text", {.data = "a warning", .length = 9}, 0, "a warning"},
	{"refused", {.error = EACCES}, EACCES, NULL},
	{"refused, with text", {.error = EINVAL, .data = "p:1:1: no", .length = 9}, EINVAL,
		"p:1:1: no"},
	{"no text", {.data = "a\0b", .length = 3}, EPROTO, NULL},
	{"refused, no text", {.error = EINVAL, .data = "a\0b", .length = 3}, EPROTO, NULL},
};

/* Twice on one connection: with and without a place for the text. */
static void test_case(void **state)
{
	const struct reload_case *test = *state;
	struct fake_turn turns[2] = {test->turn, test->turn};
	char untouched, *text = &untouched;
	struct fdbroker *broker;
	struct fake fake;
	int i;

	for (i = 0; i < 2; i++) {
		turns[i].operation = FDBROKER_RELOAD;
		turns[i].path = "";
	}
	fake_play(&fake, turns, 2);
	broker = fdbroker_from_fd(fake.fd);
	for (i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(
			fdbroker_reload(broker, i == 0 ? &text : NULL), test->error == 0 ? 0 : -1);
		assert_int_equal(errno, test->error);
	}
	if (test->text)
		assert_string_equal(text, test->text);
	else
		assert_null(text);
	free(text);
	/* Both were asked for, and the fake is through. */
	fake_wait(&fake);
	text = &untouched;
	assert_int_equal(fdbroker_reload(broker, &text), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_null(text);
	fdbroker_disconnect(broker);
}

/* As much text as fits into a message, with an error. */
static void test_long(void **state)
{
	const size_t most = FDBROKER_REPLY_MAX - sizeof(struct fdbroker_reply);
	struct fake_turn turn = {.operation = FDBROKER_RELOAD, .path = "", .error = EINVAL};
	char *sent = malloc(most), *text;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	memset(sent, 'x', most);
	turn.data = sent;
	turn.length = most;
	fake_play(&fake, &turn, 1);
	broker = fdbroker_from_fd(fake.fd);
	assert_int_equal(fdbroker_reload(broker, &text), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(strlen(text), most);
	free(text);
	free(sent);
	fdbroker_disconnect(broker);
	fake_wait(&fake);
}

static void test_no_connection(void **state)
{
	char untouched, *text = &untouched;

	(void)state;
	assert_int_equal(fdbroker_reload(NULL, &text), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_null(text);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_no_connection),
	};
	struct CMUnitTest tests[COUNT(cases) + COUNT(others)];

	cases_fill(tests, test_case, cases, sizeof(cases[0]), COUNT(cases), others, COUNT(others));
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
