/* SPDX-License-Identifier: MIT */
/* What each uid has, and what it may have: against a naive model, and by several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accounts.h"
#include "bucket.h"
#include "callers.h"
#include "defaults.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define NONE   POLICY_LIMIT_NONE

static const struct policy_caller nobody;
static struct account_refusal refusal;

static struct account *open_one(
	struct accounts *accounts, uid_t uid, const struct policy_caller *caller)
{
	struct account *account;

	assert_int_equal(accounts_open(accounts, uid, caller, -1, 0, &account, &refusal), 0);
	return account;
}

/* As many as there is room for, one by one; gives them back. */
static uint32_t room(struct account *account, enum account_kind kind)
{
	uint32_t count = 0;

	while (account_take(account, kind, 1, 0, &refusal) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		account_give_back(account, kind, 1);
	return count;
}

static uint32_t room_for_connections(
	struct accounts *accounts, uid_t uid, const struct policy_caller *caller)
{
	static struct account *opened[1000];
	uint32_t count = 0;

	while (accounts_open(accounts, uid, caller, -1, 0, &opened[count], &refusal) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		account_close(opened[i], 0);
	return count;
}

static void test_defaults(void **state)
{
	struct accounts *accounts = accounts_new(0);

	(void)state;
	assert_int_equal(room_for_connections(accounts, 1, &nobody), DEFAULT_CONNECTIONS);
	struct account *account = open_one(accounts, 1, &nobody);
	assert_int_equal(room_for_connections(accounts, 1, &nobody), DEFAULT_CONNECTIONS - 1);
	assert_int_equal(room(account, ACCOUNT_OPENS), DEFAULT_OPENS);
	assert_int_equal(room(account, ACCOUNT_DESCRIPTORS), DEFAULT_DESCRIPTORS);
	assert_int_equal(account_take(account, ACCOUNT_BYTES, DEFAULT_BYTES, 0, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_BYTES, 1, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.value, DEFAULT_BYTES);
	account_give_back(account, ACCOUNT_BYTES, DEFAULT_BYTES);
	for (uint32_t i = 0; i < DEFAULT_BURST; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	assert_int_equal(account_request(account, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.wait, SECOND / DEFAULT_RATE);
	account_close(account, 0);
	accounts_free(accounts);
}

/* The connections of a uid count together; other uids, also those with the same hash, have their own. */
static void test_each_uid_its_own(void **state)
{
	static struct account *all[3][6000];
	struct policy_caller caller = {.limits = {.connections = 2, .opens = 3}};
	struct accounts *accounts = accounts_new(0);
	struct account *more;

	(void)state;
	for (uid_t uid = 0; uid < 6000; uid++) {
		all[0][uid] = open_one(accounts, uid, &caller);
		all[1][uid] = open_one(accounts, uid * 65536u + 7000, &nobody);
		all[2][uid] = open_one(accounts, uid, &caller);
	}
	for (uid_t uid = 6000; uid-- > 0;) {
		assert_int_equal(
			accounts_open(accounts, uid, &caller, -1, 0, &more, &refusal), -EDQUOT);
		assert_int_equal(refusal.uid, uid);
		assert_int_equal(account_take(all[0][uid], ACCOUNT_OPENS, 2, 0, &refusal), 0);
		assert_int_equal(account_take(all[2][uid], ACCOUNT_OPENS, 2, 0, &refusal), -EDQUOT);
		assert_int_equal(refusal.value, 2);
		assert_int_equal(account_take(all[2][uid], ACCOUNT_OPENS, 1, 0, &refusal), 0);
		account_give_back(all[0][uid], ACCOUNT_OPENS, 2);
		account_close(all[0][uid], 0);
		account_close(all[1][uid], 0);
	}
	for (uid_t uid = 0; uid < 6000; uid++) {
		account_give_back(all[2][uid], ACCOUNT_OPENS, 1);
		account_close(all[2][uid], 0);
	}
	accounts_free(accounts);
}

static void test_all_or_nothing(void **state)
{
	struct policy_caller caller = {.limits = {.opens = 10}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 11, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 10, 0, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), -EDQUOT);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, 0, &refusal), -EDQUOT);
	account_give_back(account, ACCOUNT_OPENS, 1);
	assert_int_equal(room(account, ACCOUNT_OPENS), 1);
	account_give_back(account, ACCOUNT_OPENS, 9);
	account_close(account, 0);
	accounts_free(accounts);
}

static void test_none(void **state)
{
	struct policy_caller caller = {.limits = {NONE, NONE, 0, NONE, NONE}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(account_take(account, ACCOUNT_OPENS, UINT32_MAX, 0, &refusal), 0);
		assert_int_equal(
			account_take(account, ACCOUNT_DESCRIPTORS, UINT32_MAX, 0, &refusal), 0);
	}
	for (int i = 0; i < 3; i++) {
		account_give_back(account, ACCOUNT_OPENS, UINT32_MAX);
		account_give_back(account, ACCOUNT_DESCRIPTORS, UINT32_MAX);
	}
	for (int i = 0; i < 2 * DEFAULT_BURST; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	account_close(account, 0);
	accounts_free(accounts);
}

/* A total bounds the callers of one subject together, and whoever is not one of them is left alone. */
static void test_totals(void **state)
{
	const struct policy_caller both = {.limits = {.opens = 6},
		.count = 3,
		.subjects = {{2, {.opens = 8, .connections = 4}}, {0, {0}}, {1, {.opens = NONE}}}};
	struct accounts *accounts = accounts_new(3);
	struct account *one = open_one(accounts, 1, &both), *other = open_one(accounts, 2, &both);
	struct account *stranger = open_one(accounts, 3, &nobody);

	(void)state;
	assert_int_equal(account_take(one, ACCOUNT_OPENS, 6, 0, &refusal), 0);
	assert_int_equal(account_take(one, ACCOUNT_OPENS, 1, 0, &refusal), -EDQUOT);
	/* Its own is the first that it meets; the other meets the subject's. */
	assert_false(refusal.total);
	assert_int_equal(refusal.limit, 6);
	assert_int_equal(account_take(other, ACCOUNT_OPENS, 3, 0, &refusal), -EDQUOT);
	assert_true(refusal.total && refusal.subject == 2 && refusal.uid == 2);
	assert_int_equal(refusal.limit, 8);
	assert_int_equal(refusal.value, 6);
	/* What was refused was not counted in part. */
	assert_int_equal(room(other, ACCOUNT_OPENS), 2);
	assert_int_equal(room(stranger, ACCOUNT_OPENS), DEFAULT_OPENS);
	assert_int_equal(room_for_connections(accounts, 9, &both), 2);
	assert_int_equal(room(other, ACCOUNT_DESCRIPTORS), DEFAULT_DESCRIPTORS);
	account_give_back(one, ACCOUNT_OPENS, 6);
	account_close(one, 0);
	assert_int_equal(room_for_connections(accounts, 9, &both), 3);
	account_close(other, 0);
	account_close(stranger, 0);
	accounts_free(accounts);
}

/* Connections of one uid with different limits: each is measured by its own, all count. */
static void test_different_limits_of_one_uid(void **state)
{
	const struct policy_caller few = {.limits = {.opens = 2, .rate = 1, .burst = 3}};
	const struct policy_caller many = {.limits = {.opens = 10, .rate = 1, .burst = 5}};
	struct accounts *accounts = accounts_new(0);
	struct account *a = open_one(accounts, 1, &few), *b = open_one(accounts, 1, &many);
	struct account *c = open_one(accounts, 1, &few);

	(void)state;
	assert_int_equal(account_take(b, ACCOUNT_OPENS, 2, 0, &refusal), 0);
	assert_int_equal(room(a, ACCOUNT_OPENS), 0);
	assert_int_equal(room(b, ACCOUNT_OPENS), 8);
	account_give_back(b, ACCOUNT_OPENS, 2);
	/* Those with the same rate share a bucket. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(account_request(i % 2 ? a : c, 0, &refusal), 0);
	assert_int_equal(account_request(a, 0, &refusal), -EDQUOT);
	assert_int_equal(account_request(c, 0, &refusal), -EDQUOT);
	assert_int_equal(account_request(b, 0, &refusal), 0);
	account_close(a, 0);
	account_close(b, 0);
	account_close(c, 0);
	accounts_free(accounts);
}

/* Connecting again is no way to a fresh bucket, nor to another line in the record. */
static void test_connecting_again(void **state)
{
	const struct policy_caller caller = {.limits = {.rate = 10, .burst = 10}};
	struct accounts *accounts = accounts_new(0);
	uint64_t now = 50 * SECOND;
	int told = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct account *account;
		assert_int_equal(
			accounts_open(accounts, 1, &caller, -1, now, &account, &refusal), 0);
		assert_int_equal(account_request(account, now, &refusal), 0);
		account_close(account, now);
	}
	for (int i = 0; i < 3000; i++) {
		struct account *account;
		int passed = 0;
		now += SECOND / 100 * 15;
		assert_int_equal(
			accounts_open(accounts, 1, &caller, -1, now, &account, &refusal), 0);
		while (account_request(account, now, &refusal) == 0)
			passed++;
		told += refusal.first;
		assert_in_range(passed, 1, 2);
		account_close(account, now);
	}
	/* The bucket was never half full. */
	assert_int_equal(told, 1);
	accounts_free(accounts);
}

static void test_rate_without_a_burst(void **state)
{
	const struct policy_caller caller = {.limits = {.rate = 7}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);

	(void)state;
	for (int i = 0; i < 7; i++)
		assert_int_equal(account_request(account, 0, &refusal), 0);
	assert_int_equal(account_request(account, 0, &refusal), -EDQUOT);
	assert_int_equal(refusal.limit, 7);
	assert_string_equal(account_kind_name(refusal.kind), "rate");
	account_close(account, 0);
	accounts_free(accounts);
}

/* Told of once; then only counted, until no more than half was taken, and not before some time has gone by. */
static void test_telling(void **state)
{
	const struct policy_caller caller = {.limits = {.opens = 4}};
	struct accounts *accounts = accounts_new(0);
	struct account *account = open_one(accounts, 1, &caller);
	uint64_t now = 0;

	(void)state;
	for (int i = 1; i <= 4; i++)
		assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 1);
	assert_string_equal(account_kind_name(refusal.kind), "opens");
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
		assert_true(!refusal.first && refusal.refusals == i);
	}
	/* One below, later: nothing new. */
	now += 2 * ACCOUNT_TELL_EVERY;
	account_give_back(account, ACCOUNT_OPENS, 1);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), 0);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 1, now, &refusal), -EDQUOT);
	assert_true(!refusal.first && refusal.refusals == 100);
	/* Down to half of it: something new. */
	account_give_back(account, ACCOUNT_OPENS, 2);
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 3, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 101);
	/* Again, but too soon; the next one after that time is told of. */
	account_give_back(account, ACCOUNT_OPENS, 2);
	now += ACCOUNT_TELL_EVERY - 1;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 5, now, &refusal), -EDQUOT);
	assert_true(!refusal.first && refusal.refusals == 1);
	now++;
	assert_int_equal(account_take(account, ACCOUNT_OPENS, 5, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 2);
	/* Another kind has its own. */
	assert_int_equal(account_take(account, ACCOUNT_BYTES, UINT32_MAX, now, &refusal), -EDQUOT);
	assert_true(refusal.first && refusal.refusals == 1);
	account_close(account, 0);
	accounts_free(accounts);
}

/* A reference keeps what was taken counted after the end of the connection. */
static void test_holding(void **state)
{
	const struct policy_caller caller = {.limits = {.opens = 4, .connections = 2}};
	struct accounts *accounts = accounts_new(0);
	struct account *hung = open_one(accounts, 1, &caller);

	(void)state;
	assert_int_equal(account_take(hung, ACCOUNT_OPENS, 3, 0, &refusal), 0);
	account_hold(hung);
	account_close(hung, 0);
	struct account *next = open_one(accounts, 1, &caller);
	assert_int_equal(room(next, ACCOUNT_OPENS), 1);
	assert_int_equal(room_for_connections(accounts, 1, &caller), 1);
	account_give_back(hung, ACCOUNT_OPENS, 3);
	account_release(hung, 0);
	assert_int_equal(room(next, ACCOUNT_OPENS), 4);
	account_close(next, 0);
	accounts_free(accounts);
}

/* ---- descriptors ------------------------------------------------------------------------------
 */

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

/* Who keeps up is never refused, also where its queue is never quite empty. */
static void test_a_reader_that_keeps_up(void **state)
{
	const struct policy_caller caller = {.limits = {.descriptors = 40}};
	struct accounts *accounts = accounts_new(0);
	struct line line;

	(void)state;
	connect_line(&line, accounts, &caller);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(send_some(&line, 1, 0), 0);
		if (i >= 8)
			receive_some(&line, 1);
	}
	disconnect_line(&line);
	accounts_free(accounts);
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

/* ---- at random --------------------------------------------------------------------------------
 */

#define ACCOUNTS_MAX 60
#define UIDS	     4

struct model {
	struct account *account;
	uid_t uid;
	const struct policy_caller *caller;
	uint64_t taken[ACCOUNT_KINDS];
};

static uint64_t sum(const struct model *models, enum account_kind kind, uid_t uid, int subject)
{
	uint64_t total = 0;

	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		const struct model *model = &models[i];
		bool counts = model->account && subject < 0 && model->uid == uid;
		for (size_t s = 0; model->account && subject >= 0 && s < model->caller->count; s++)
			counts = counts || (int)model->caller->subjects[s].number == subject;
		total += counts ? model->taken[kind] : 0;
	}
	return total;
}

static uint32_t limit_of(const struct policy_limits *limits, enum account_kind kind, bool total)
{
	uint32_t said = kind == ACCOUNT_CONNECTIONS   ? limits->connections
			: kind == ACCOUNT_OPENS	      ? limits->opens
			: kind == ACCOUNT_DESCRIPTORS ? limits->descriptors
						      : 0;
	static const uint32_t defaults[] = {
		DEFAULT_CONNECTIONS, DEFAULT_OPENS, DEFAULT_DESCRIPTORS, DEFAULT_BYTES};

	return said ? said : total ? NONE : defaults[kind];
}

static bool naive_fits(const struct model *models, uid_t uid, const struct policy_caller *caller,
	enum account_kind kind, uint64_t n)
{
	uint32_t limit = limit_of(&caller->limits, kind, false);

	if (limit != NONE && sum(models, kind, uid, -1) + n > limit)
		return false;
	for (size_t s = 0; s < caller->count; s++) {
		limit = limit_of(&caller->subjects[s].totals, kind, true);
		int number = (int)caller->subjects[s].number;
		if (limit != NONE && sum(models, kind, 0, number) + n > limit)
			return false;
	}
	return true;
}

static const struct policy_caller random_callers[] = {
	{.limits = {.connections = 5, .opens = 9, .descriptors = NONE}},
	{.limits = {.connections = 9, .opens = NONE, .descriptors = 30},
		.count = 1,
		.subjects = {{0, {.connections = 12, .opens = 20}}}},
	{.limits = {.connections = NONE, .opens = 4},
		.count = 3,
		.subjects = {{0, {.connections = 12, .opens = 20}}, {1, {.descriptors = 50}},
			{2, {0}}}},
	{.limits = {0}},
};

static void random_step(struct accounts *accounts, struct model *models)
{
	struct model *model = &models[rand() % ACCOUNTS_MAX];
	const struct policy_caller *caller = &random_callers[rand() % 4];
	enum account_kind kind = 1 + (enum account_kind)rand() % 3;
	uid_t uid = (uid_t)rand() % UIDS;
	uint32_t n = (uint32_t)rand() % 8;

	if (kind == ACCOUNT_BYTES)
		n *= 70000;
	if (!model->account) {
		bool fits = naive_fits(models, uid, caller, ACCOUNT_CONNECTIONS, 1);
		int error = accounts_open(accounts, uid, caller, -1, 0, &model->account, &refusal);
		assert_int_equal(error, fits ? 0 : -EDQUOT);
		if (error)
			return;
		model->uid = uid;
		model->caller = caller;
		memset(model->taken, 0, sizeof(model->taken));
		model->taken[ACCOUNT_CONNECTIONS] = 1;
	} else if (rand() % 20 == 0) {
		for (int i = ACCOUNT_OPENS; i <= ACCOUNT_BYTES; i++)
			account_give_back(model->account, i, (uint32_t)model->taken[i]);
		account_close(model->account, 0);
		model->account = NULL;
	} else if (rand() % 3) {
		bool fits = naive_fits(models, model->uid, model->caller, kind, n);
		int error = account_take(model->account, kind, n, 0, &refusal);
		assert_int_equal(error, fits ? 0 : -EDQUOT);
		if (!error)
			model->taken[kind] += n;
	} else {
		if (n > model->taken[kind])
			n = (uint32_t)model->taken[kind];
		account_give_back(model->account, kind, n);
		model->taken[kind] -= n;
	}
}

static void test_random(void **state)
{
	static struct model models[ACCOUNTS_MAX];
	struct accounts *accounts = accounts_new(3);

	(void)state;
	srand(6);
	for (int i = 0; i < 200000; i++)
		random_step(accounts, models);
	for (int i = 0; i < ACCOUNTS_MAX; i++) {
		if (!models[i].account)
			continue;
		for (int kind = ACCOUNT_OPENS; kind <= ACCOUNT_BYTES; kind++)
			account_give_back(models[i].account, kind, (uint32_t)models[i].taken[kind]);
		account_close(models[i].account, 0);
	}
	/* Which asserts that nothing is left. */
	accounts_free(accounts);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

#define THREADS 4

static const struct policy_caller shared_caller = {
	.limits = {.opens = 5, .descriptors = 30, .rate = 1000, .burst = 500},
	.count = 1,
	.subjects = {{0, {.opens = 8}}}};
static struct accounts *shared;
static _Atomic int opens[2], opens_total, passed;

static void *thread(void *argument)
{
	uid_t uid = (uid_t)(uintptr_t)argument % 2;
	struct account_refusal refused;
	struct line line;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	line.ours = pair[0];
	line.client = pair[1];
	for (int i = 0; i < 20000; i++) {
		if (i % 100 == 0)
			assert_int_equal(accounts_open(shared, uid, &shared_caller, line.ours, 0,
						 &line.account, &refused),
				0);
		if (account_take(line.account, ACCOUNT_OPENS, 1, 0, &refused) == 0) {
			assert_in_range(++opens[uid], 1, 5);
			assert_in_range(++opens_total, 1, 8);
			account_hold(line.account);
			opens[uid]--;
			opens_total--;
			account_give_back(line.account, ACCOUNT_OPENS, 1);
			account_release(line.account, 0);
		}
		if (account_take(line.account, ACCOUNT_DESCRIPTORS, 1, (uint64_t)i * 1000,
			    &refused) == 0) {
			char byte = 1;
			assert_int_equal(send(line.ours, &byte, 1, 0), 1);
			account_sent(line.account, 1);
			assert_int_equal(recv(line.client, &byte, 1, 0), 1);
		}
		passed += account_request(line.account, SECOND, &refused) == 0;
		if (i % 100 == 99)
			account_close(line.account, 0);
	}
	close(line.ours);
	close(line.client);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	shared = accounts_new(1);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* Both uids had their burst, once, though they came and went; a second's worth was there from the start. */
	assert_int_equal(passed, 2 * 500);
	accounts_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_each_uid_its_own),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_different_limits_of_one_uid),
		cmocka_unit_test(test_connecting_again),
		cmocka_unit_test(test_rate_without_a_burst),
		cmocka_unit_test(test_telling),
		cmocka_unit_test(test_holding),
		cmocka_unit_test(test_unread_descriptors_count),
		cmocka_unit_test(test_a_reader_that_keeps_up),
		cmocka_unit_test(test_idle_connections_do_not_count),
		cmocka_unit_test(test_unread_batches_count),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
