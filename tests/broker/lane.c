/* SPDX-License-Identifier: MIT */
/*
 * The lane's turns and bounds, with operations that hang until they are told to go on: of a request, the flags say
 * whether it takes all patience, the mode with which directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lane.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Threads of a lane never end, and some jobs are left with them: no leak of the lane's. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool hanging;
static unsigned int inside, finished;
static uid_t order[256];
static unsigned int ordered;

struct operations *operations_new(const struct service *service)
{
	struct operations *operations = calloc(1, sizeof(*operations));

	operations->service = service;
	return operations;
}

void operations_free(struct operations *operations)
{
	free(operations);
}

void operations_client(struct operations *operations, int client, uint32_t number, int64_t deadline)
{
	(void)operations;
	(void)client;
	(void)number;
	(void)deadline;
}

void operations_patience(
	struct operations *operations, enum patience patience, const _Atomic bool *cancelled)
{
	operations->resolver.patience = patience;
	operations->resolver.cancelled = cancelled;
}

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	(void)stranger;
	*reply = (struct reply){.descriptor = -1};
	if (request->flags && operations->resolver.patience != PATIENCE_ALL) {
		reply->deferred = true;
		reply->directory = request->mode;
		return;
	}
	pthread_mutex_lock(&mutex);
	inside++;
	order[ordered++ % 256] = peer->uid;
	pthread_cond_broadcast(&change);
	while (hanging)
		pthread_cond_wait(&change, &mutex);
	inside--;
	pthread_mutex_unlock(&mutex);
	reply->descriptor = open("/dev/null", O_RDONLY);
}

int peer_identify(int socket, uint32_t number, const struct policy *policy,
	struct questions *questions, struct peer *peer)
{
	(void)socket;
	(void)number;
	(void)policy;
	(void)questions;
	(void)peer;
	return 0;
}

static void hang(bool on)
{
	pthread_mutex_lock(&mutex);
	hanging = on;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&mutex);
}

static void done(struct job *job)
{
	(void)job;
	pthread_mutex_lock(&mutex);
	finished++;
	pthread_mutex_unlock(&mutex);
}

static struct lane *lane;
static struct peer peers[32];

static struct job *submit(unsigned int uid, bool all, uint32_t directory)
{
	struct job *job = calloc(1, sizeof(*job));

	peers[uid].uid = uid;
	job->peer = &peers[uid];
	job->request.flags = all;
	job->request.mode = directory;
	job->done = done;
	job->reply.descriptor = -1;
	lane_submit(lane, job);
	return job;
}

/* Waits until the lane has come to rest, and says how many jobs are at it. */
static unsigned int settle(void)
{
	unsigned int before = UINT32_MAX, now = 0;

	for (int same = 0; same < 5;) {
		usleep(10000);
		pthread_mutex_lock(&mutex);
		now = inside + (ordered << 8);
		pthread_mutex_unlock(&mutex);
		same = now == before ? same + 1 : 0;
		before = now;
	}
	return now & 0xff;
}

static void wait_finished(unsigned int count)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		bool all = finished == count;
		pthread_mutex_unlock(&mutex);
		if (all)
			return;
		usleep(10000);
	}
	fail_msg("%u of %u are finished", finished, count);
}

static int begin(void **state)
{
	static struct service service;

	(void)state;
	inside = finished = ordered = 0;
	hanging = true;
	lane = lane_new(&service);
	return lane ? 0 : -1;
}

static unsigned int threads(void)
{
	struct lane_state state;

	lane_state(lane, &state);
	return state.threads;
}

static void test_one_uid_has_some_threads_at_most(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		submit(1, false, 0);
	assert_int_equal(settle(), LANE_UID_MAX);
	submit(2, false, 0);
	assert_int_equal(settle(), LANE_UID_MAX + 1);
	assert_int_equal(threads(), LANE_UID_MAX + 1);
	hang(false);
	wait_finished(41);
}

static void test_one_directory_has_some_threads_at_most(void **state)
{
	(void)state;
	for (unsigned int uid = 0; uid < 20; uid++)
		submit(uid, true, 7);
	assert_int_equal(settle(), LANE_DIRECTORY_MAX);
	submit(20, true, 8);
	submit(21, false, 7);
	assert_int_equal(settle(), LANE_DIRECTORY_MAX + 2);
	hang(false);
	wait_finished(22);
}

static void test_what_may_take_for_ever_leaves_some_threads(void **state)
{
	(void)state;
	for (unsigned int uid = 0; uid < 30; uid++)
		for (uint32_t directory = 0; directory < 8; directory++)
			submit(uid, true, directory + 8 * (uid % 4));
	assert_int_equal(settle(), LANE_ENDLESS_MAX);
	for (int i = 0; i < LANE_UID_MAX; i++)
		submit(31, false, 0);
	assert_int_equal(settle(), LANE_ENDLESS_MAX + LANE_UID_MAX);
	assert_true(threads() <= LANE_THREADS_MAX);
	hang(false);
	wait_finished(248);
}

/* Of many jobs of one uid and one of another, the other's is not the last. */
static void test_uids_have_turns(void **state)
{
	(void)state;
	for (unsigned int uid = 0; uid < 8; uid++)
		for (int i = 0; i < LANE_UID_MAX; i++)
			submit(uid, false, 0);
	assert_int_equal(settle(), LANE_THREADS_MAX);
	for (int i = 0; i < 20; i++)
		submit(9, false, 0);
	submit(10, false, 0);
	hang(false);
	wait_finished(85);
	unsigned int at = 0;
	while (order[at] != 10)
		at++;
	assert_true(at < LANE_THREADS_MAX + 8);
}

static void test_withdrawing(void **state)
{
	struct job *running[LANE_UID_MAX];
	struct lane_state now;

	(void)state;
	for (int i = 0; i < LANE_UID_MAX; i++)
		running[i] = submit(1, true, (uint32_t)i);
	assert_int_equal(settle(), LANE_UID_MAX);
	struct job *first = submit(1, false, 0), *second = submit(1, false, 0);
	struct job *third = submit(1, false, 0), *other = submit(2, false, 0);
	assert_int_equal(settle(), LANE_UID_MAX + 1);
	assert_true(lane_withdraw(lane, first));
	assert_true(lane_withdraw(lane, third));
	assert_false(lane_withdraw(lane, other));
	assert_false(lane_withdraw(lane, running[3]));
	lane_state(lane, &now);
	assert_int_equal(now.waiting, 1);
	assert_int_equal(now.running, LANE_UID_MAX + 1);
	assert_int_equal(now.stuck, 2);
	hang(false);
	wait_finished(LANE_UID_MAX + 2);
	/* What came too late is closed where it was opened. */
	assert_int_equal(running[3]->reply.descriptor, -1);
	assert_true(second->reply.descriptor >= 0);
	int descriptor = running[0]->reply.descriptor;
	assert_true(descriptor >= 0);
	lane_close(lane, running[0]);
	for (int i = 0; i < 100 && fcntl(descriptor, F_GETFD) >= 0; i++)
		usleep(10000);
	assert_int_equal(fcntl(descriptor, F_GETFD), -1);
	lane_state(lane, &now);
	assert_int_equal(now.waiting, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_uid_has_some_threads_at_most, begin),
		cmocka_unit_test_setup(test_one_directory_has_some_threads_at_most, begin),
		cmocka_unit_test_setup(test_what_may_take_for_ever_leaves_some_threads, begin),
		cmocka_unit_test_setup(test_uids_have_turns, begin),
		cmocka_unit_test_setup(test_withdrawing, begin),
	};

	return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
