/* SPDX-License-Identifier: MIT */
/* The process that acts as a caller: what it does where there is no descriptor left, and where its maker has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent.h"
#include "become.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

static bool full;

static int fake_fcntl(int descriptor, int command, int least)
{
	if (!full)
		return fcntl(descriptor, command, least);
	errno = EMFILE;
	return -1;
}

#define fcntl fake_fcntl
#include "../../broker/agent.c"
#undef fcntl

static struct identity me(void)
{
	return (struct identity){.uid = getuid(), .gid = getgid()};
}

static int watch(int object, int32_t *number)
{
	const struct identity identity = me();
	const struct act act = {.kind = ACT_WATCH, .object = object, .mask = IN_CREATE};

	return agent_run(&identity, &act, 5000, number);
}

static void test_it_watches_what_it_is_given(void **state)
{
	int object = open("/", O_PATH | O_CLOEXEC);
	int32_t number = -1;

	(void)state;
	assert_true(object >= 0);
	int made = watch(object, &number);
	assert_true(made >= 0);
	assert_true(number >= 0);
	close(made);
	close(object);
}

static void test_without_a_descriptor_for_that_it_says_so(void **state)
{
	int object = open("/", O_PATH | O_CLOEXEC);
	int32_t number = -1;

	(void)state;
	full = true;
	assert_int_equal(watch(object, &number), -EMFILE);
	full = false;
	assert_int_equal(number, -1);
	close(object);
}

/* What become says in a process whose maker has ended, or has not, by an exit status. */
static int become_late(bool ended)
{
	int ends[2], answer = 0;
	const struct identity identity = me();

	assert_int_equal(pipe(ends), 0);
	pid_t maker = fork();
	if (maker == 0) {
		const pid_t self = getpid();
		pid_t made = fork();
		if (made == 0) {
			while (ended && getppid() == self)
				usleep(1000);
			answer = become(&identity, self);
			_exit(write(ends[1], &answer, sizeof(answer)) != sizeof(answer));
		}
		if (!ended)
			waitpid(made, NULL, 0);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &answer, sizeof(answer)), sizeof(answer));
	close(ends[0]);
	waitpid(maker, NULL, 0);
	return answer;
}

static void test_it_does_nothing_without_its_maker(void **state)
{
	(void)state;
	assert_int_equal(become_late(false), 0);
	assert_int_equal(become_late(true), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_watches_what_it_is_given),
		cmocka_unit_test(test_without_a_descriptor_for_that_it_says_so),
		cmocka_unit_test(test_it_does_nothing_without_its_maker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
