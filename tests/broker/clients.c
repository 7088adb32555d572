/* SPDX-License-Identifier: MIT */
/* Whom the supervisor gives to a worker, and when: the clock is the test's, and so is the worker's end of the channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel.h"
#include "clients.h"
#include "vouch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 100

/* Known by its place in memory. */
static const char ADDRESS[] = "@here";

struct table {
	struct clients *clients;
	int channel[2];
	int ends[MANY];	   /* the clients' own, in the order in which they came; -1: closed */
	int sockets[MANY]; /* what the table was given of them */
	unsigned int came;
	char text[512];
};

static void begin(struct table *table, uint32_t most)
{
	*table = (struct table){.clients = clients_new(most)};
	assert_non_null(table->clients);
	assert_int_equal(channel_pair(table->channel), 0);
	assert_int_equal(fcntl(table->channel[1], F_SETFL, O_NONBLOCK), 0);
}

static void end(struct table *table)
{
	clients_free(table->clients);
	for (unsigned int i = 0; i < table->came; i++)
		if (table->ends[i] >= 0)
			close(table->ends[i]);
	close(table->channel[0]);
	close(table->channel[1]);
}

/* One comes who waits until then. What clients_add says. */
static int come(struct table *table, int64_t due)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	table->sockets[table->came] = pair[0];
	table->ends[table->came++] = pair[1];
	return clients_add(table->clients, pair[0], ADDRESS, due);
}

static void go(struct table *table, unsigned int client)
{
	close(table->ends[client]);
	table->ends[client] = -1;
}

static bool is_open(int descriptor)
{
	return fcntl(descriptor, F_GETFD) >= 0;
}

/* Gives a worker all that are to be given: their numbers, in that order, and a + where another worker had one. */
static const char *give(struct table *table)
{
	struct channel_message message;
	size_t length = 0;

	assert_int_equal(clients_give(table->clients, table->channel[0]), 0);
	assert_false(clients_wait(table->clients));
	table->text[0] = 0;
	while (channel_receive(table->channel[1], &message) == 1) {
		assert_int_equal(message.type, CHANNEL_CLIENT);
		assert_string_equal(message.text, ADDRESS);
		assert_true(message.descriptor >= 0);
		close(message.descriptor);
		length += (size_t)snprintf(table->text + length, sizeof(table->text) - length,
			"%s%u%s", length ? " " : "", message.index, message.attributes ? "+" : "");
		assert_true(length < sizeof(table->text));
	}
	return table->text;
}

static void test_those_who_wait_are_given_in_the_order_of_their_time(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 10);
	assert_int_equal(clients_turn(table.clients, 1), 0);
	for (const int64_t *due = (const int64_t[]){30, 10, 20, 10, 0}; *due; due++)
		assert_int_equal(come(&table, *due), 0);
	assert_int_equal(come(&table, 0), 0);
	assert_int_equal(clients_waiting(table.clients), 4);
	assert_int_equal(clients_count(table.clients), 5);
	/* Who need not wait does not wait for them. */
	assert_string_equal(give(&table), "4");
	assert_int_equal(clients_turn(table.clients, 9), 10);
	assert_false(clients_wait(table.clients));
	assert_int_equal(clients_turn(table.clients, 10), 20);
	assert_true(clients_wait(table.clients));
	assert_int_equal(clients_waiting(table.clients), 2);
	/* Of the same time, who came first. */
	assert_string_equal(give(&table), "1 3");
	assert_int_equal(clients_turn(table.clients, 29), 30);
	assert_int_equal(clients_turn(table.clients, 1000), 0);
	assert_int_equal(clients_waiting(table.clients), 0);
	assert_string_equal(give(&table), "2 0");
	assert_int_equal(clients_count(table.clients), 5);
	end(&table);
}

static void test_more_than_there_was_room_for_at_first(void **state)
{
	struct table table;
	char wanted[512] = "";
	size_t length = 0;

	(void)state;
	begin(&table, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(come(&table, MANY - i), 0);
		length += (size_t)snprintf(wanted + length, sizeof(wanted) - length, "%s%d",
			i ? " " : "", MANY - 1 - i);
	}
	assert_int_equal(clients_turn(table.clients, MANY), 0);
	assert_string_equal(give(&table), wanted);
	end(&table);
}

static void test_who_has_gone_when_his_time_comes_is_forgotten(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(come(&table, 10 + i), 0);
	assert_int_equal(vouch_check(clients_vouched(table.clients), 1, table.sockets[1]), 0);
	go(&table, 1);
	/* One who only says no more waits for an answer. */
	assert_int_equal(shutdown(table.ends[2], SHUT_WR), 0);
	assert_true(clients_has_gone(table.sockets[1]));
	assert_false(clients_has_gone(table.sockets[2]));
	/* He keeps his turn until it comes. */
	assert_int_equal(clients_turn(table.clients, 10), 11);
	assert_int_equal(clients_waiting(table.clients), 3);
	assert_int_equal(clients_count(table.clients), 4);
	int copy = dup(table.sockets[1]);
	assert_int_equal(clients_turn(table.clients, 12), 13);
	assert_int_equal(clients_waiting(table.clients), 1);
	assert_int_equal(clients_count(table.clients), 3);
	assert_false(is_open(table.sockets[1]));
	assert_int_equal(vouch_check(clients_vouched(table.clients), 1, copy), -EACCES);
	close(copy);
	/* His place is another's. */
	assert_false(clients_full(table.clients));
	assert_int_equal(come(&table, 0), 0);
	assert_true(clients_full(table.clients));
	assert_string_equal(give(&table), "0 2 1");
	end(&table);
}

static void test_a_worker_ends_and_gives_back_only_what_it_has(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 10);
	assert_int_equal(come(&table, 10), 0);
	assert_int_equal(come(&table, 0), 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_false(clients_drop(table.clients, i) || clients_back(table.clients, i));
	assert_int_equal(clients_waiting(table.clients), 1);
	assert_string_equal(give(&table), "1");
	assert_false(clients_drop(table.clients, 0) || clients_back(table.clients, 0));
	assert_int_equal(clients_turn(table.clients, 10), 0);
	assert_false(clients_drop(table.clients, 0) || clients_back(table.clients, 0));
	assert_string_equal(give(&table), "0");
	/* He does not wait again. */
	assert_true(clients_back(table.clients, 0));
	assert_false(clients_back(table.clients, 0) || clients_drop(table.clients, 0));
	assert_string_equal(give(&table), "0");
	assert_true(clients_drop(table.clients, 0));
	assert_false(clients_drop(table.clients, 0) || clients_back(table.clients, 0));
	assert_int_equal(clients_count(table.clients), 1);
	assert_false(is_open(table.sockets[0]));
	end(&table);
}

static void test_another_worker_has_all_at_once(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 10);
	assert_int_equal(come(&table, 20), 0);
	assert_int_equal(come(&table, 0), 0);
	assert_int_equal(come(&table, 10), 0);
	assert_string_equal(give(&table), "1");
	assert_int_equal(come(&table, 0), 0);
	clients_give_all(table.clients);
	assert_int_equal(clients_waiting(table.clients), 0);
	/* Only what a worker has had may have been begun there. */
	assert_string_equal(give(&table), "0 1+ 2 3");
	/* Nobody comes a second time when it would have been his. */
	assert_int_equal(clients_turn(table.clients, 1000), 0);
	assert_string_equal(give(&table), "");
	assert_int_equal(come(&table, 2000), 0);
	assert_int_equal(clients_waiting(table.clients), 1);
	assert_int_equal(clients_turn(table.clients, 1000), 2000);
	assert_int_equal(clients_turn(table.clients, 2000), 0);
	assert_string_equal(give(&table), "4");
	clients_give_all(table.clients);
	assert_false(clients_drop(table.clients, 4) || clients_back(table.clients, 4));
	/* One may go before it is given anybody. */
	clients_give_all(table.clients);
	assert_string_equal(give(&table), "0+ 1+ 2+ 3+ 4+");
	end(&table);
}

static void test_a_full_table_takes_nobody_waiting_or_not(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 2);
	assert_int_equal(come(&table, 10), 0);
	assert_false(clients_full(table.clients));
	assert_int_equal(come(&table, 0), 0);
	assert_true(clients_full(table.clients));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(come(&table, 10 * i), -EMFILE);
		assert_false(is_open(table.sockets[2 + i]));
	}
	assert_int_equal(clients_count(table.clients), 2);
	assert_int_equal(clients_waiting(table.clients), 1);
	assert_string_equal(give(&table), "1");
	assert_true(clients_drop(table.clients, 1));
	assert_false(clients_full(table.clients));
	assert_int_equal(come(&table, 5), 0);
	assert_true(clients_full(table.clients));
	assert_int_equal(clients_turn(table.clients, 10), 0);
	assert_string_equal(give(&table), "1 0");
	end(&table);
}

/* As execve(2) leaves it: the descriptors are the same. */
static void transfer(struct clients *from, struct clients *to)
{
	struct sockets sockets = {.count = 2};
	struct state state;

	sockets.listeners[0].address = "@elsewhere";
	sockets.listeners[1].address = ADDRESS;
	state_begin(&state, false);
	clients_transfer(from, &sockets, &state);
	int file = state_finish(&state);
	assert_true(file >= 0);
	state_open(&state, file);
	clients_transfer(to, &sockets, &state);
	assert_int_equal(state_done(&state), 0);
	close(file);
}

static void test_who_waits_is_given_at_once_by_the_next_supervisor(void **state)
{
	struct table table;

	(void)state;
	begin(&table, 4);
	assert_int_equal(come(&table, 0), 0);
	assert_int_equal(come(&table, 0), 0);
	assert_string_equal(give(&table), "0 1");
	assert_true(clients_drop(table.clients, 0));
	assert_int_equal(clients_turn(table.clients, 1), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(come(&table, 20 - i), 0);
	struct clients *before = table.clients;
	table.clients = clients_new(4);
	transfer(before, table.clients);
	assert_int_equal(clients_count(table.clients), 3);
	assert_int_equal(clients_waiting(table.clients), 0);
	assert_int_equal(clients_turn(table.clients, 1000), 0);
	assert_string_equal(give(&table), "0 2");
	assert_int_equal(come(&table, 10), 0);
	assert_int_equal(clients_turn(table.clients, 9), 10);
	assert_true(clients_full(table.clients));
	clients_give_all(table.clients);
	assert_string_equal(give(&table), "0+ 1+ 2+ 3");
	end(&table);
	/* It frees what it knew, and closes nothing that is open. */
	clients_free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_those_who_wait_are_given_in_the_order_of_their_time),
		cmocka_unit_test(test_more_than_there_was_room_for_at_first),
		cmocka_unit_test(test_who_has_gone_when_his_time_comes_is_forgotten),
		cmocka_unit_test(test_a_worker_ends_and_gives_back_only_what_it_has),
		cmocka_unit_test(test_another_worker_has_all_at_once),
		cmocka_unit_test(test_a_full_table_takes_nobody_waiting_or_not),
		cmocka_unit_test(test_who_waits_is_given_at_once_by_the_next_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
