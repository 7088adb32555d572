// SPDX-License-Identifier: MIT
/*
 * open.c: what one open through the broker costs, as a ratio to what it could cost at the least.
 *
 * Absolute times say more about the machine than about the broker; so in the same run, on the same
 * file, this also measures the bare loop (bare.c), the bare system call, and a null system call. A
 * round measures each in turn; the ratios are the medians over the rounds of the ratio within a
 * round, so that a machine that slows down for a while slows both sides of a ratio. Everybody runs
 * on one core: waking another one costs several times what is measured, and differs from one
 * machine to the next.
 *
 * The broker needs root. Where it cannot run, the benchmark is skipped (77), with the reason.
 *
 * Usage: open [--at-most RATIO] FDBROKERD: fails if an open through the broker costs more than
 * RATIO times the bare loop's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "daemon.h"
#include "fdbroker.h"

#define EXIT_SKIPPED 77
#define ROUNDS	     21

struct bench {
	char directory[64];
	char file[96];
	char policy[96];
	struct daemon daemon;
	struct bare_server bare;
	struct fdbroker *broker;
};

enum { NULL_CALL, OPENAT2, BARE_LOOP, BROKER, SUBJECTS };

/* ---- what is measured -------------------------------------------------------------------------
 */

/* One operation of each kind. -1 and errno where it fails: a failure must not pass for speed. */

static int close_opened(int fd)
{
	return fd < 0 ? -1 : close(fd);
}

static int null_call(struct bench *bench)
{
	(void)bench;
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static int open_directly(struct bench *bench)
{
	return close_opened(bare_openat2(bench->file));
}

static int open_in_loop(struct bench *bench)
{
	return close_opened(bare_open(&bench->bare, bench->file));
}

static int open_through_broker(struct bench *bench)
{
	return close_opened(fdbroker_open(bench->broker, bench->file, O_RDONLY));
}

static const struct {
	const char *name;
	int (*run)(struct bench *bench);
	int times; /* in a round: some 20 ms of each */
} subjects[SUBJECTS] = {
	[NULL_CALL] = {"null system call", null_call, 100000},
	[OPENAT2] = {"openat2 + close, bare", open_directly, 20000},
	[BARE_LOOP] = {"bare loop, SEQPACKET + SCM_RIGHTS", open_in_loop, 3000},
	[BROKER] = {"open through the broker", open_through_broker, 3000},
};

/* ---- measuring --------------------------------------------------------------------------------
 */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* Microseconds per operation, or -1. */
static double measure(struct bench *bench, int subject)
{
	double begin = now();
	int i;

	for (i = 0; i < subjects[subject].times; i++) {
		if (subjects[subject].run(bench) < 0) {
			fprintf(stderr, "bench-open: %s: %s\n", subjects[subject].name,
				strerror(errno));
			return -1;
		}
	}
	return (now() - begin) / subjects[subject].times;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median; `values` is sorted. */
static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

/* The median over the rounds of one subject's time divided by another's. */
static double ratio(double times[SUBJECTS][ROUNDS], int subject, int to)
{
	double ratios[ROUNDS];
	int round;

	for (round = 0; round < ROUNDS; round++)
		ratios[round] = times[subject][round] / times[to][round];
	return median(ratios);
}

/* Measures and prints the table. Returns the ratio to the bare loop, or -1. */
static double run_rounds(struct bench *bench)
{
	double times[SUBJECTS][ROUNDS];
	double to_loop[SUBJECTS], to_openat2[SUBJECTS];
	int round, i;

	/* Round -1 warms everything up and is forgotten. */
	for (round = -1; round < ROUNDS; round++) {
		for (i = 0; i < SUBJECTS; i++) {
			double time = measure(bench, i);

			if (time < 0)
				return -1;
			if (round >= 0)
				times[i][round] = time;
		}
	}
	for (i = 0; i < SUBJECTS; i++) {
		to_loop[i] = ratio(times, i, BARE_LOOP);
		to_openat2[i] = ratio(times, i, OPENAT2);
	}
	printf("%-36s %10s %10s %10s %10s\n", "", "µs ", "min..max", "/ loop", "/ openat2");
	for (i = 0; i < SUBJECTS; i++) {
		double middle = median(times[i]); /* sorts them */

		printf("%-36s %9.3f %5.2f..%5.2f %9.3f %10.2f\n", subjects[i].name, middle,
			times[i][0], times[i][ROUNDS - 1], to_loop[i], to_openat2[i]);
	}
	printf("medians of %d interleaved rounds, client and servers on one core\n", ROUNDS);
	return to_loop[BROKER];
}

/* ---- the stage --------------------------------------------------------------------------------
 */

/* Keeps this process and all that it starts on one core. */
static int pin(void)
{
	cpu_set_t cpus;
	int cpu;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &cpus); cpu++)
		;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t length = (ssize_t)strlen(text);

	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)length) != length) {
		close(fd);
		return -1;
	}
	return close(fd);
}

/* Makes the directory, the file in it, and the policy that grants it. */
static int build_stage(struct bench *bench)
{
	char text[256];

	strcpy(bench->directory, "/tmp/fdbroker-bench.XXXXXX");
	if (!mkdtemp(bench->directory)) {
		bench->directory[0] = '\0';
		return -1;
	}
	snprintf(bench->file, sizeof(bench->file), "%s/file", bench->directory);
	snprintf(bench->policy, sizeof(bench->policy), "%s/policy", bench->directory);
	snprintf(text, sizeof(text), "subject bench {\n\tuser %u\n\tallow read %s/*\n}\n",
		(unsigned int)getuid(), bench->directory);
	return write_file(bench->file, "content\n") < 0 ? -1 : write_file(bench->policy, text);
}

static void clear_stage(struct bench *bench)
{
	if (bench->directory[0] == '\0')
		return;
	unlink(bench->file);
	unlink(bench->policy);
	rmdir(bench->directory);
}

static int skip(const char *why, const char *detail)
{
	printf("skipped: %s%s\n", why, detail);
	return EXIT_SKIPPED;
}

static int fail(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

/* With the broker running: everything is measured and judged. */
static int run_measured(struct bench *bench, double at_most)
{
	double result;

	bench->broker = fdbroker_connect(bench->daemon.address);
	if (!bench->broker)
		return fail(bench->daemon.address);
	if (bare_start(&bench->bare) < 0) {
		fdbroker_disconnect(bench->broker);
		return fail("bare loop");
	}
	result = run_rounds(bench);
	bare_stop(&bench->bare);
	fdbroker_disconnect(bench->broker);
	if (result < 0)
		return EXIT_FAILURE;
	if (at_most > 0 && result > at_most) {
		printf("FAILED: %.3f times the bare loop, and %.3f is allowed\n", result, at_most);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int run_staged(struct bench *bench, const char *program, double at_most)
{
	int result, status;

	if (build_stage(bench) < 0)
		return fail("/tmp");
	if (daemon_start(&bench->daemon, program, bench->policy) < 0)
		return skip("the broker does not start: ", bench->daemon.line);
	result = run_measured(bench, at_most);
	status = daemon_stop(&bench->daemon);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		printf("FAILED: the broker ended with wait status %#x\n", status);
		return EXIT_FAILURE;
	}
	return result;
}

int main(int argc, char **argv)
{
	struct bench bench = {};
	double at_most = 0;
	int result;

	if (argc == 4 && strcmp(argv[1], "--at-most") == 0) {
		at_most = strtod(argv[2], NULL);
		argv += 2;
		argc -= 2;
	}
	if (argc != 2) {
		fputs("usage: bench-open [--at-most RATIO] FDBROKERD\n", stderr);
		return 2;
	}
	if (geteuid() != 0)
		return skip("the broker needs root", "");
	if (pin() < 0)
		return skip("cannot keep to one core: ", strerror(errno));
	result = run_staged(&bench, argv[1], at_most);
	clear_stage(&bench);
	return result;
}
