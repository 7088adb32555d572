// SPDX-License-Identifier: MIT
/*
 * views.c: what the safety of a descriptor costs. In the same run, on one core, interleaved:
 *
 *   - an open through a broker with views, as a ratio to one through a broker that is the same but for its views
 *     (tests/attack: never installed);
 *   - an open beneath a tree, as a ratio to the bare openat(2) beneath the directory itself;
 *   - getting a tree, and an open right after another directory was exchanged: the tree stays that of a directory
 *     that has not been (doc/architecture.md says what becomes of it then).
 *
 * Usage: views [--at-most OPEN TREE] FDBROKERD FDBROKERD-WITHOUT-VIEWS. With --at-most it fails if one of the two
 * ratios is higher. Needs root; 77 where a broker cannot start.
 */
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "fdbroker.h"

#define ROUNDS	 21
#define ATTEMPTS 2000
#define SLOW	 100

enum { WITH, WITHOUT, BENEATH, BARE, TREE, EXCHANGED, KINDS };

static const char *const names[KINDS] = {
	"open, with views",
	"open, without views",
	"openat beneath a tree",
	"openat beneath the directory",
	"getting a tree",
	"open after an exchange",
};

struct bench {
	char directory[64], file[96], exchanged[96], other[96], policy[96];
	struct daemon with, without;
	struct fdbroker *with_views, *without_views;
	int tree, bare;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void once(struct bench *bench, int kind)
{
	char path[128];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/d", bench->directory);
	switch (kind) {
	case WITH:
		fd = fdbroker_open(bench->with_views, bench->file, O_RDONLY);
		break;
	case WITHOUT:
		fd = fdbroker_open(bench->without_views, bench->file, O_RDONLY);
		break;
	case BENEATH:
		fd = openat(bench->tree, "f", O_RDONLY | O_CLOEXEC);
		break;
	case BARE:
		fd = openat(bench->bare, "f", O_RDONLY | O_CLOEXEC);
		break;
	case TREE:
		fd = fdbroker_tree(bench->with_views, path, O_RDONLY);
		break;
	case EXCHANGED:
		snprintf(path, sizeof(path), "%s/f", bench->exchanged);
		if (renameat2(AT_FDCWD, bench->exchanged, AT_FDCWD, bench->other, RENAME_EXCHANGE) <
			0)
			fail("renameat2");
		fd = fdbroker_open(bench->with_views, path, O_RDONLY);
		break;
	}
	if (fd < 0)
		fail(names[kind]);
	close(fd);
}

static int get_tree(const struct bench *bench)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/d", bench->directory);
	int tree = fdbroker_tree(bench->with_views, path, O_RDONLY);
	if (tree < 0)
		fail("getting a tree");
	return tree;
}

/* Microseconds for one. */
static double measure(struct bench *bench, int kind)
{
	int attempts = kind >= TREE ? SLOW : ATTEMPTS;
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < attempts; i++)
		once(bench, kind);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return ((double)(after.tv_sec - before.tv_sec) * 1e6 +
		       (double)(after.tv_nsec - before.tv_nsec) / 1e3) /
	       attempts;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return difference < 0 ? -1 : difference > 0;
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void make_directory(const char *path)
{
	char file[128];

	snprintf(file, sizeof(file), "%s/f", path);
	if (mkdir(path, 0755) < 0 || mknod(file, S_IFREG | 0644, 0) < 0)
		fail(path);
}

static void prepare(struct bench *bench)
{
	char path[96];
	FILE *policy;

	strcpy(bench->directory, "/tmp/fdbroker-bench-XXXXXX");
	if (!mkdtemp(bench->directory))
		fail("mkdtemp");
	snprintf(path, sizeof(path), "%s/d", bench->directory);
	snprintf(bench->exchanged, sizeof(bench->exchanged), "%s/exchanged", bench->directory);
	snprintf(bench->other, sizeof(bench->other), "%s/other", bench->directory);
	snprintf(bench->file, sizeof(bench->file), "%s/d/f", bench->directory);
	snprintf(bench->policy, sizeof(bench->policy), "%s/policy", bench->directory);
	make_directory(path);
	make_directory(bench->exchanged);
	make_directory(bench->other);
	policy = fopen(bench->policy, "we");
	if (!policy)
		fail(bench->policy);
	fprintf(policy, "subject bench {\n\tuser 0\n\tallow read %s/* %s/*\n\tallow tree %s\n}\n",
		path, bench->exchanged, path);
	fclose(policy);
	bench->bare = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_all(const struct bench *bench)
{
	char path[128];
	static const char *const all[] = {"d/f", "exchanged/f", "other/f", "policy"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", bench->directory, all[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/d", bench->directory);
	rmdir(path);
	rmdir(bench->exchanged);
	rmdir(bench->other);
	rmdir(bench->directory);
}

/* Whether the ratios are at most those of `bounds`. */
static bool run(struct bench *bench, const double bounds[2])
{
	static double times[KINDS][ROUNDS], ratios[2][ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		/* The current one: whatever made the view anew meanwhile has left the last one dissolved. */
		close(bench->tree);
		bench->tree = get_tree(bench);
		for (int kind = 0; kind < KINDS; kind++)
			times[kind][round] = measure(bench, kind);
		ratios[0][round] = times[WITH][round] / times[WITHOUT][round];
		ratios[1][round] = times[BENEATH][round] / times[BARE][round];
	}
	printf("%-30s %10s\n", "", "us");
	for (int kind = 0; kind < KINDS; kind++)
		printf("%-30s %10.3f\n", names[kind], median(times[kind]));
	double open = median(ratios[0]), tree = median(ratios[1]);
	printf("with views / without: %.3f (at most %.2f)\nbeneath a tree / bare: %.3f (at most %.2f)\n",
		open, bounds[0], tree, bounds[1]);
	printf("medians of %d interleaved rounds, everybody on one core\n", ROUNDS);
	return open <= bounds[0] && tree <= bounds[1];
}

int main(int argc, char **argv)
{
	static struct bench bench;
	double bounds[2] = {INFINITY, INFINITY};
	cpu_set_t one;

	if (argc == 6 && strcmp(argv[1], "--at-most") == 0) {
		bounds[0] = strtod(argv[2], NULL);
		bounds[1] = strtod(argv[3], NULL);
		argv += 3;
		argc -= 3;
	}
	if (argc != 3)
		return 2;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	prepare(&bench);
	if (daemon_start(&bench.with, argv[1], bench.policy) < 0 ||
		daemon_start(&bench.without, argv[2], bench.policy) < 0) {
		printf("skipped: %s%s\n", bench.with.line, bench.without.line);
		remove_all(&bench);
		return 77;
	}
	bench.with_views = fdbroker_connect(bench.with.address);
	bench.without_views = fdbroker_connect(bench.without.address);
	if (!bench.with_views || !bench.without_views)
		fail("connecting");
	bench.tree = get_tree(&bench);
	bool kept = run(&bench, bounds);
	fdbroker_disconnect(bench.with_views);
	fdbroker_disconnect(bench.without_views);
	daemon_stop(&bench.with);
	daemon_stop(&bench.without);
	remove_all(&bench);
	return kept ? 0 : 1;
}
