/* SPDX-License-Identifier: MIT */
/* Descriptors count until they have been received, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounts.h"
#include "callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static struct account_refusal refusal;

struct line {
	int ours, client;
	struct account *account;
};

static void connect_line(
	struct line *line, struct accounts *accounts, const struct policy_caller *caller)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	line->ours = pair[0];
	line->client = pair[1];
	assert_int_equal(
		accounts_open(accounts, 1, caller, line->ours, 0, &line->account, &refusal), 0);
}

static void disconnect_line(struct line *line)
{
	account_close(line->account, 0);
	close(line->ours);
	close(line->client);
}

/* One message with `n` descriptors. */
static int send_some(struct line *line, uint32_t n, uint64_t now)
{
	union {
		char bytes[CMSG_SPACE(250 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {(void *)(uintptr_t) "a reply of its least size", 24};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
	int error = account_take(line->account, ACCOUNT_DESCRIPTORS, n, now, &refusal);

	if (error)
		return error;
	header.msg_controllen = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (uint32_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(rights) + i * sizeof(int), &line->ours, sizeof(int));
	assert_int_equal(sendmsg(line->ours, &header, MSG_DONTWAIT), 24);
	account_sent(line->account, n);
	return 0;
}

static void receive_some(struct line *line, int messages)
{
	char byte;

	/* Without room for them the descriptors are closed. */
	for (int i = 0; i < messages; i++)
		assert_int_equal(recv(line->client, &byte, 1, MSG_DONTWAIT), 1);
}

static void test_unread_descriptors_count(void **state)
{
	const struct policy_caller caller = {.limits = {.descriptors = 40}};
	struct accounts *accounts = accounts_new(0);
	struct line line;

	(void)state;
	connect_line(&line, accounts, &caller);
	for (int i = 0; i < 40; i++)
		assert_int_equal(send_some(&line, 1, 0), 0);
	assert_int_equal(send_some(&line, 1, SECOND), -EDQUOT);
	assert_int_equal(refusal.value, 40);
	receive_some(&line, 40);
	assert_int_equal(send_some(&line, 40, SECOND), 0);
	assert_int_equal(send_some(&line, 1, 2 * SECOND), -EDQUOT);
	receive_some(&line, 1);
	/* One that was not sent after all. */
	assert_int_equal(
		account_take(line.account, ACCOUNT_DESCRIPTORS, 40, 3 * SECOND, &refusal), 0);
	assert_int_equal(send_some(&line, 1, 4 * SECOND), -EDQUOT);
	account_give_back(line.account, ACCOUNT_DESCRIPTORS, 40);
	assert_int_equal(send_some(&line, 1, 5 * SECOND), 0);
	disconnect_line(&line);
	accounts_free(accounts);
}

/* Who keeps up is never refused, also where its queue is never quite empty, and all goes too fast for the clock. */
static void keep_up(uint32_t limit, int behind)
{
	const struct policy_caller caller = {.limits = {.descriptors = limit}};
	struct accounts *accounts = accounts_new(0);
	struct line line;

	connect_line(&line, accounts, &caller);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(send_some(&line, 1, SECOND), 0);
		if (i >= behind)
			receive_some(&line, 1);
	}
	disconnect_line(&line);
	accounts_free(accounts);
}

static void test_a_reader_that_keeps_up(void **state)
{
	(void)state;
	keep_up(1, 0);
	keep_up(8, 0);
	keep_up(8, 2);
	keep_up(40, 8);
	keep_up(512, 64);
}

/* Of a uid with many connections none that is idle takes up room for what its client has long received. */
static void test_idle_connections_do_not_count(void **state)
{
	const struct policy_caller caller = {.limits = {.descriptors = 64}};
	struct accounts *accounts = accounts_new(0);
	struct line lines[64];
	uint64_t now = 0;

	(void)state;
	for (int i = 0; i < 64; i++)
		connect_line(&lines[i], accounts, &caller);
	for (int round = 0; round < 20; round++)
		for (int i = 0; i < 64; i++) {
			/* As fast as two event threads could be. */
			now += 3000;
			assert_int_equal(send_some(&lines[i], 1, now), 0);
			receive_some(&lines[i], 1);
		}
	/* What is unread does count, wherever it is. */
	for (int i = 0; i < 64; i++)
		assert_int_equal(send_some(&lines[i], 1, now += SECOND), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(send_some(&lines[i], 1, now += SECOND), -EDQUOT);
	receive_some(&lines[63], 1);
	assert_int_equal(send_some(&lines[0], 1, now += SECOND), 0);
	for (int i = 0; i < 64; i++)
		disconnect_line(&lines[i]);
	accounts_free(accounts);
}

/* Messages with many descriptors and with few, read now and then: never are more unread than there may be. */
static void test_unread_batches_count(void **state)
{
	const struct policy_caller caller = {.limits = {.descriptors = 500}};
	struct accounts *accounts = accounts_new(0);
	uint32_t queue[1000], sent = 0, received = 0, unread = 0, refused = 0;
	struct line line;
	uint64_t now = SECOND;

	(void)state;
	srand(3);
	connect_line(&line, accounts, &caller);
	while (sent < 1000) {
		uint32_t n = rand() % 2 ? 1 : 250;
		if (rand() % 3 == 0 && received < sent) {
			receive_some(&line, 1);
			unread -= queue[received++];
		} else if (send_some(&line, n, now += SECOND) == 0) {
			queue[sent++] = n;
			unread += n;
			assert_in_range(unread, 1, 500);
		} else {
			refused++;
			/* With an empty queue nothing is in the way. */
			assert_true(received < sent);
		}
	}
	assert_in_range(refused, 100, 100000);
	disconnect_line(&line);
	accounts_free(accounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unread_descriptors_count),
		cmocka_unit_test(test_a_reader_that_keeps_up),
		cmocka_unit_test(test_idle_connections_do_not_count),
		cmocka_unit_test(test_unread_batches_count),
	};

	return cmocka_run_group_tests_name("accounts-descriptors", tests, NULL, NULL);
}
