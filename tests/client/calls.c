// SPDX-License-Identifier: MIT
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct fdbroker *calls_start(struct fake *fake, const struct fake_turn *turns, size_t count)
{
	struct fdbroker *broker;

	fake_play(fake, turns, count);
	broker = fdbroker_from_fd(fake->fd);
	assert_non_null(broker);
	return broker;
}

void calls_stop(struct fake *fake, struct fdbroker *broker)
{
	fdbroker_disconnect(broker);
	fake_wait(fake);
}

void check_failure(long result, int error)
{
	assert_int_equal(result, -1);
	assert_int_equal(errno, error);
}

void check_opens(
	struct fdbroker *broker, const char *path, int flags, int error, const char *content)
{
	int fd;

	errno = 0;
	fd = fdbroker_open(broker, path, flags, 0600);
	if (error != 0) {
		check_failure(fd, error);
		return;
	}
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(has_content(fd, content));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

void cases_fill(struct CMUnitTest *tests, CMUnitTestFunction test, const void *cases, size_t size,
	size_t count, const struct CMUnitTest *others, size_t other_count)
{
	for (size_t i = 0; i < count; i++) {
		const char *one = (const char *)cases + i * size;

		tests[i] = (struct CMUnitTest){
			.name = *(const char *const *)(const void *)one,
			.test_func = test,
			.initial_state = (void *)(uintptr_t)one,
		};
	}
	memcpy(tests + count, others, other_count * sizeof(*others));
}
