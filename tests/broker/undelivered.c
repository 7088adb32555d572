/* SPDX-License-Identifier: MIT */
/* Sockets of clients that were dropped with something unread stay, and stay charged, until it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "callers.h"
#include "undelivered.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static const struct policy_caller caller = {.limits = {.connections = 3, .descriptors = 5}};
static struct account_refusal refusal;
static struct accounts *accounts;

struct line {
	int ours, client;
	struct account *account;
};

/* A connection over which so many messages were sent, each counted as one descriptor. */
static struct line line_with(uint32_t messages)
{
	struct line line;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	line.ours = pair[0];
	line.client = pair[1];
	assert_int_equal(
		accounts_open(accounts, 1, &caller, line.ours, 0, &line.account, &refusal), 0);
	for (uint32_t i = 0; i < messages; i++) {
		assert_int_equal(
			account_take(line.account, ACCOUNT_DESCRIPTORS, 1, 0, &refusal), 0);
		assert_int_equal(send(line.ours, "x", 1, 0), 1);
		account_sent(line.account, 1);
	}
	return line;
}

static bool is_open(int descriptor)
{
	return fcntl(descriptor, F_GETFD) >= 0;
}

static bool have_room(uint64_t now)
{
	struct account *account;

	if (accounts_open(accounts, 1, &caller, -1, now, &account, &refusal))
		return false;
	account_close(account, now);
	return true;
}

static int setup(void **state)
{
	(void)state;
	accounts = accounts_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	accounts_free(accounts);
	return 0;
}

static void test_nothing_unread(void **state)
{
	struct undelivered undelivered = {0};
	struct line line = line_with(0);

	(void)state;
	undelivered_add(&undelivered, line.ours, 0, line.account, 0);
	assert_false(is_open(line.ours));
	assert_int_equal(undelivered_check(&undelivered, 0), -1);
	close(line.client);
}

static void test_read_in_the_end(void **state)
{
	struct undelivered undelivered = {0};
	struct line line = line_with(2), first = line_with(3), next;
	uint64_t now = 1000 * MS;
	char byte;

	(void)state;
	undelivered_add(&undelivered, line.ours, 0, line.account, now);
	/* It is at its end for the client, which still gets what there is. */
	assert_true(is_open(line.ours));
	assert_int_equal(send(line.client, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	/* The connection is charged ... */
	next = line_with(0);
	assert_false(have_room(now));
	/* ... and so are its descriptors. */
	assert_int_equal(
		account_take(next.account, ACCOUNT_DESCRIPTORS, 1, now, &refusal), -EDQUOT);
	assert_int_equal(refusal.value, 5);
	now += 100 * MS;
	assert_int_equal(undelivered_check(&undelivered, now), 150);
	assert_int_equal(recv(line.client, &byte, 1, 0), 1);
	now += 150 * MS;
	assert_int_equal(undelivered_check(&undelivered, now), 250);
	assert_true(is_open(line.ours));
	assert_int_equal(recv(line.client, &byte, 1, 0), 1);
	assert_int_equal(recv(line.client, &byte, 1, 0), 0);
	/* Descriptors are back as soon as somebody wants them; the connection, when it is looked at. */
	assert_int_equal(account_take(next.account, ACCOUNT_DESCRIPTORS, 2, now, &refusal), 0);
	account_give_back(next.account, ACCOUNT_DESCRIPTORS, 2);
	assert_int_equal(undelivered_check(&undelivered, now + 250 * MS - 1), 1);
	assert_true(is_open(line.ours));
	assert_int_equal(undelivered_check(&undelivered, now + 250 * MS), -1);
	assert_false(is_open(line.ours));
	assert_true(have_room(now));
	close(line.client);
	undelivered_add(&undelivered, next.ours, 0, next.account, now);
	close(next.client);
	undelivered_add(&undelivered, first.ours, 0, first.account, now);
	undelivered_release(&undelivered, now);
	close(first.client);
}

static void test_client_gone(void **state)
{
	struct undelivered undelivered = {0};
	struct line one = line_with(2), other = line_with(1);

	(void)state;
	undelivered_add(&undelivered, one.ours, 0, one.account, 0);
	undelivered_add(&undelivered, other.ours, 0, other.account, 100 * MS);
	close(other.client);
	assert_int_equal(undelivered_check(&undelivered, 100 * MS), 150);
	assert_int_equal(undelivered_check(&undelivered, 250 * MS), 100);
	assert_int_equal(undelivered_check(&undelivered, 350 * MS), 150);
	assert_true(is_open(one.ours) && !is_open(other.ours));
	close(one.client);
	assert_int_equal(undelivered_check(&undelivered, 500 * MS), -1);
	assert_false(is_open(one.ours));
}

static void test_release(void **state)
{
	struct undelivered undelivered = {0};
	struct line one = line_with(2), other = line_with(1);

	(void)state;
	undelivered_add(&undelivered, one.ours, 0, one.account, 0);
	undelivered_add(&undelivered, other.ours, 0, other.account, 0);
	undelivered_release(&undelivered, 0);
	assert_false(is_open(one.ours) || is_open(other.ours));
	close(one.client);
	close(other.client);
}

/* A clock that was set back makes nobody wait longer than usual. */
static void test_clock_set_back(void **state)
{
	struct undelivered undelivered = {0};
	struct line line = line_with(1);

	(void)state;
	undelivered_add(&undelivered, line.ours, 0, line.account, UINT64_C(1) << 60);
	assert_int_equal(undelivered_check(&undelivered, 0), 250);
	undelivered_release(&undelivered, 0);
	close(line.client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_in_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_release, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_set_back, setup, teardown),
	};

	return cmocka_run_group_tests_name("undelivered", tests, NULL, NULL);
}
