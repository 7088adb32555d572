/* SPDX-License-Identifier: MIT */
/* What the service manager hears: the datagrams, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int manager = -1;
static char heard[4096];

static int start_manager(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];

	(void)state;
	int length = snprintf(name, sizeof(name), "@fdbroker-test-notify-%d", (int)getpid());
	memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return bind(manager, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length));
}

static int stop_manager(void **state)
{
	(void)state;
	return close(manager);
}

static const char *hear(void)
{
	ssize_t length = recv(manager, heard, sizeof(heard) - 1, 0);

	heard[length < 0 ? 0 : length] = '\0';
	return heard;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void test_reloading_says_when(void **state)
{
	struct notify notify;
	uint64_t stamp = 0, before = now_us();
	int end = 0;

	(void)state;
	notify_init(&notify);
	notify_reloading(&notify);
	uint64_t after = now_us();
	assert_int_equal(
		sscanf(hear(), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "%n", &stamp, &end), 1);
	assert_int_equal(heard[end], '\0');
	assert_true(before <= stamp && stamp <= after);
	notify_ready(&notify, "two\nlines");
	assert_string_equal(hear(), "READY=1\nSTATUS=two lines");
	notify_close(&notify);
}

static void test_a_long_status_is_cut(void **state)
{
	struct notify notify;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	notify_init(&notify);
	notify_status(&notify, text);
	assert_true(strlen(hear()) < 300);
	assert_memory_equal(heard, "STATUS=xxxx", 11);
	notify_close(&notify);
}

/* However much there is to tell, what waits is bounded, in order, and told when there is room. */
static void test_what_finds_no_room_waits(void **state)
{
	struct notify notify;
	char text[32];
	int sent = 0, first;

	(void)state;
	notify_init(&notify);
	while (!notify.waiting && sent < 100000) {
		snprintf(text, sizeof(text), "%d", sent++);
		notify_status(&notify, text);
	}
	assert_true(notify.waiting > 0);
	notify_stopping(&notify);
	assert_int_equal(notify_turn(&notify, true), 100);
	for (first = 0; first < sent - 1; first++) {
		snprintf(text, sizeof(text), "STATUS=%d", first);
		assert_string_equal(hear(), text);
	}
	assert_string_equal(hear(), "");
	assert_int_equal(notify_turn(&notify, true), -1);
	snprintf(text, sizeof(text), "STATUS=%d", first);
	assert_string_equal(hear(), text);
	assert_string_equal(hear(), "STOPPING=1");
	notify_close(&notify);
}

static void test_nobody_to_tell(void **state)
{
	struct notify notify;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000", 1);
	notify_init(&notify);
	notify_ready(&notify, "x");
	assert_int_equal(notify_turn(&notify, true), -1);
	assert_string_equal(hear(), "");
	notify_close(&notify);
}

static void test_signs_of_life(void **state)
{
	struct notify notify;

	(void)state;
	setenv("WATCHDOG_USEC", "60000000", 1);
	notify_init(&notify);
	assert_int_equal(notify_turn(&notify, false), -1);
	assert_string_equal(hear(), "");
	int wait = notify_turn(&notify, true);
	assert_true(29000 < wait && wait <= 30000);
	assert_string_equal(hear(), "WATCHDOG=1");
	notify_turn(&notify, true);
	assert_string_equal(hear(), "");
	notify_close(&notify);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_reloading_says_when, start_manager, stop_manager),
		cmocka_unit_test_setup_teardown(
			test_a_long_status_is_cut, start_manager, stop_manager),
		cmocka_unit_test_setup_teardown(
			test_what_finds_no_room_waits, start_manager, stop_manager),
		cmocka_unit_test_setup_teardown(test_nobody_to_tell, start_manager, stop_manager),
		cmocka_unit_test_setup_teardown(test_signs_of_life, start_manager, stop_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
