/* SPDX-License-Identifier: MIT */
/* calls.h: what tests of the library's calls share: a connection to a fake broker, results, and tables of cases. */
#ifndef TEST_CALLS_H
#define TEST_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"
#include "fdbroker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Starts a fake that expects these requests (fake_play), and connects to it. */
struct fdbroker *calls_start(struct fake *fake, const struct fake_turn *turns, size_t count);
/* Disconnects, and waits for the fake: all that it expected must have been asked for, and nothing else. */
void calls_stop(struct fake *fake, struct fdbroker *broker);

/* That a call returned -1 and that errno is `error`. */
void check_failure(long result, int error);
/* Opens `path`, and expects `error`, or a good descriptor of a file with `content`. */
void check_opens(
	struct fdbroker *broker, const char *path, int flags, int error, const char *content);

/*
 * Fills `tests` with one for each of `count` cases of `size` bytes, and `others` behind them. A case begins with its
 * name (const char *), and `test` has it as *state.
 */
void cases_fill(struct CMUnitTest *tests, CMUnitTestFunction test, const void *cases, size_t size,
	size_t count, const struct CMUnitTest *others, size_t other_count);

#endif
