// SPDX-License-Identifier: MIT
/*
 * test-sharing.c: one connection and many users of it: threads, threads that are cancelled,
 * children of fork(2); and the umask, which threads share.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"
#include "fdbroker.h"
#include "mask.h"

#define THREADS 8
#define OPENS	300

static char address[64];

static struct fdbroker *connect_to(struct fake *fake)
{
	struct fdbroker *broker;

	snprintf(address, sizeof(address), "@fdb-sharing-%d", (int)getpid());
	fake_listen(fake, address, geteuid());
	broker = fdbroker_connect(address);
	assert_non_null(broker);
	return broker;
}

/* The errno that the fake answers `path` with. */
static int ask(struct fdbroker *broker, const char *path, int flags, mode_t mode)
{
	int fd = fdbroker_open(broker, path, flags, mode);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? errno : 0;
}

static bool opens(struct fdbroker *broker, const char *path)
{
	int fd = fdbroker_open(broker, path, O_RDONLY);
	bool good = fd >= 0 && has_content(fd, path);

	if (fd >= 0)
		close(fd);
	return good;
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct worker {
	pthread_t thread;
	struct fdbroker *broker;
	int number;
	int wrong;
};

/* Each thread asks for paths that no other asks for, so a reply that went astray is seen. */
static void *open_many(void *argument)
{
	struct worker *worker = argument;
	char path[64];
	int i;

	for (i = 0; i < OPENS; i++) {
		snprintf(path, sizeof(path), "/%d/%d", worker->number, i);
		if (!opens(worker->broker, path))
			worker->wrong++;
	}
	return NULL;
}

static void test_threads(void **state)
{
	int before = count_descriptors();
	struct worker workers[THREADS];
	struct fdbroker *broker;
	struct fake fake;
	int i;

	(void)state;
	broker = connect_to(&fake);
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.broker = broker, .number = i};
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, open_many, &workers[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	fdbroker_disconnect(broker);
	fake_stop(&fake);
	assert_int_equal(count_descriptors(), before);
}

/* Returns its argument if all went well. No cancellation point but, were it one, the open itself.
 */
static void *open_slowly(void *broker)
{
	int fd = fdbroker_open(broker, "/slow", O_RDONLY);
	bool good;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	good = fd >= 0 && has_content(fd, "/slow");
	if (fd >= 0)
		close(fd);
	return good ? broker : NULL;
}

/* A thread cancelled while it waits finishes what it does, and the others go on. */
static void test_cancelled(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	pthread_t thread;
	void *result;

	(void)state;
	broker = connect_to(&fake);
	pthread_create(&thread, NULL, open_slowly, broker);
	usleep(100000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	assert_ptr_equal(result, broker);
	assert_true(opens(broker, "/x"));
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* ---- fork -------------------------------------------------------------------------------------
 */

/* The child has a connection of its own, made when it is first used, and both go on. */
static void test_fork(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	pid_t pid;
	int i;

	(void)state;
	broker = connect_to(&fake);
	assert_int_equal(ask(broker, "/connection", O_RDONLY, 0), FAKE_CONNECTION);
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < 100; i++) {
			if (ask(broker, "/connection", O_RDONLY, 0) != FAKE_CONNECTION + 1)
				_exit(1);
		}
		fdbroker_disconnect(broker);
		_exit(0);
	}
	for (i = 0; i < 100; i++)
		assert_int_equal(ask(broker, "/connection", O_RDONLY, 0), FAKE_CONNECTION);
	assert_int_equal(wait_for(pid), 0);
	assert_int_equal(ask(broker, "/connections", O_RDONLY, 0), FAKE_CONNECTION + 1);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* A child that does not even use the connection does not keep the parent's open. */
static void test_fork_keeps_nothing(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	int down[2], up[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	broker = connect_to(&fake);
	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		close(down[1]);
		if (write(up[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(down[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(down[0]);
	close(up[1]);
	/* Now the child runs: fork has returned in it too. */
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	fdbroker_disconnect(broker);
	broker = fdbroker_connect(address);
	assert_non_null(broker);
	assert_int_equal(ask(broker, "/connections", O_RDONLY, 0), FAKE_CONNECTION + 1);
	close(down[1]);
	assert_int_equal(wait_for(pid), 0);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* fork while another thread is in the middle of an exchange: the child waits for nobody. */
static void test_fork_during_exchange(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	pthread_t thread;
	void *result;
	pid_t pid;

	(void)state;
	broker = connect_to(&fake);
	pthread_create(&thread, NULL, open_slowly, broker);
	usleep(100000);
	pid = fork();
	if (pid == 0) {
		alarm(5);
		_exit(opens(broker, "/child") ? 0 : 1);
	}
	assert_int_equal(wait_for(pid), 0);
	pthread_join(thread, &result);
	assert_ptr_equal(result, broker);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* A broken connection of the parent's is no reason for the child's to be; an unreachable one is. */
static void test_fork_unreachable(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	pid_t pid;

	(void)state;
	broker = connect_to(&fake);
	fake_stop(&fake);
	assert_int_equal(ask(broker, "/x", O_RDONLY, 0), ECONNRESET);
	pid = fork();
	if (pid == 0)
		_exit(ask(broker, "/x", O_RDONLY, 0));
	assert_int_equal(wait_for(pid), ECONNREFUSED);
	fake_listen(&fake, address, geteuid());
	pid = fork();
	if (pid == 0)
		_exit(ask(broker, "/x", O_RDONLY, 0));
	assert_int_equal(wait_for(pid), 0);
	assert_int_equal(ask(broker, "/x", O_RDONLY, 0), ECONNRESET);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* One that was handed over is the parent's alone. */
static void test_fork_inherited(void **state)
{
	const struct fake_shape good = {};
	struct fdbroker *broker;
	struct fake fake;
	pid_t pid;

	(void)state;
	fake_start(&fake, &good);
	broker = fdbroker_from_fd(fake.fd);
	assert_true(opens(broker, "/parent"));
	pid = fork();
	if (pid == 0) {
		if (ask(broker, "/x", O_RDONLY, 0) != ENOTCONN)
			_exit(1);
		if (fdbroker_status(broker) || errno != ENOTCONN)
			_exit(2);
		fdbroker_disconnect(broker);
		_exit(0);
	}
	assert_int_equal(wait_for(pid), 0);
	assert_true(opens(broker, "/parent"));
	fdbroker_disconnect(broker);
	/* With the parent's end closed, and no other left, the fake ends by itself. */
	fake_wait(&fake);
}

/* ---- the umask --------------------------------------------------------------------------------
 */

static void test_mode(void **state)
{
	struct fdbroker *broker;
	struct fake fake;
	mode_t before;

	(void)state;
	broker = connect_to(&fake);
	before = umask(027);
	assert_int_equal(ask(broker, "/mode", O_WRONLY | O_CREAT, 0666), 0640);
	assert_int_equal(ask(broker, "/mode", O_WRONLY | O_CREAT, 0107777), 07750);
	umask(0);
	assert_int_equal(ask(broker, "/mode", O_WRONLY | O_CREAT, 0666), 0666);
	/* Without O_CREAT there is none to send, whatever the caller passed; the fake checks it. */
	assert_int_equal(ask(broker, "/mode", O_WRONLY, 0666), 0);
	umask(before);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

/* A thread that has left the others' file system state has a umask of its own. */
static void *own_mask(void *result)
{
	mode_t *masks = result;

	if (unshare(CLONE_FS) < 0)
		return NULL;
	umask(0711);
	masks[0] = mask_get();
	if (mask_from_thread(&masks[1]) < 0)
		return NULL;
	return result;
}

static void test_mask_ways(void **state)
{
	mode_t before = umask(026);
	mode_t mask = 0, masks[2] = {};
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(mask_from_proc(&mask), 0);
	assert_int_equal(mask, 026);
	mask = 0;
	assert_int_equal(mask_from_thread(&mask), 0);
	assert_int_equal(mask, 026);
	pthread_create(&thread, NULL, own_mask, masks);
	pthread_join(thread, &result);
	assert_non_null(result);
	assert_int_equal(masks[0], 0711);
	assert_int_equal(masks[1], 0711);
	/* And reading it changed nothing. */
	assert_int_equal(umask(before), 026);
}

/* ---- relative paths ---------------------------------------------------------------------------
 */

static void test_relative(void **state)
{
	char directory[] = "/tmp/fdb-test.XXXXXX", expected[64];
	struct fdbroker *broker;
	struct fake fake;
	int fd, old = open(".", O_PATH | O_CLOEXEC);

	(void)state;
	broker = connect_to(&fake);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	snprintf(expected, sizeof(expected), "%s/a/b", directory);
	fd = fdbroker_open(broker, "a//./b", O_RDONLY);
	assert_true(has_content(fd, expected));
	close(fd);
	fd = fdbroker_open(broker, "../a/b", O_RDONLY);
	assert_true(has_content(fd, "/tmp/a/b"));
	close(fd);
	/* A working directory that is gone has no name. */
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(ask(broker, "a", O_RDONLY, 0), ENOENT);
	assert_true(opens(broker, "/absolute"));
	assert_int_equal(fchdir(old), 0);
	close(old);
	fdbroker_disconnect(broker);
	fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_fork_keeps_nothing),
		cmocka_unit_test(test_fork_during_exchange),
		cmocka_unit_test(test_fork_unreachable),
		cmocka_unit_test(test_fork_inherited),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_mask_ways),
		cmocka_unit_test(test_relative),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
