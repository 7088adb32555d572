/* SPDX-License-Identifier: MIT */
/*
 * policy-bench.c: what a decision costs, as ratios of one run: to a null system call, and of large
 * policies to small ones. Rounds of all cases are interleaved, and medians quoted, so that a slow
 * moment of the machine falls on all of them.
 */
#include "diagnostic.h"
#include "policy.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 21
#define CALLS  20000
#define PATHS  4096
#define RANDOMS \
	1009 /* paths of the "random" cases: a prime, so that no predictor learns the order */

static char *text;
static size_t length;

static int read_file(
	void *context, const char *path, char **copy, size_t *size, const char **reason)
{
	(void)context;
	(void)path;
	(void)reason;
	*copy = malloc(length + 1);
	if (!*copy)
		return -ENOMEM;
	memcpy(*copy, text, length);
	*size = length;
	return 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct setup {
	const char *name;
	struct policy *policy;
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	char (*paths)[300];
	size_t path_count;
	double times[ROUNDS], load, megabytes;
};

static void load(struct setup *setup)
{
	struct policy_environment environment = {
		.read_file = read_file, .overflow_uid = 65534, .overflow_gid = 65534};
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	struct policy_identity identity = {.uid = 1000, .gid = 1000};
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	double start = now();

	if (policy_load("bench", &environment, diagnostics, &setup->policy)) {
		policy_diagnostic_print(stderr, policy_diagnostics_get(diagnostics, 0));
		exit(1);
	}
	setup->load = now() - start;
	setup->megabytes = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / 1048576.0;
	policy_diagnostics_free(diagnostics);
	if (policy_caller_new(setup->policy, &identity, &setup->caller) ||
		policy_scratch_new(setup->policy, &setup->scratch))
		exit(1);
	setup->paths = calloc(PATHS, sizeof(*setup->paths));
}

/* /srv/D/D/D/data/fN: six deep, a hundred names in each directory. */
static void literal_path(char *path, size_t i)
{
	sprintf(path, "/srv/team%zu/host%zu/volume%zu/data/file%zu", i % 100, i / 100 % 100,
		i / 10000 % 100, i);
}

static void literals(struct setup *setup, size_t rules, size_t subjects, bool random)
{
	FILE *stream = open_memstream(&text, &length);
	size_t each = rules / subjects ? rules / subjects : 1;

	for (size_t i = 0; i < subjects; i++) {
		fprintf(stream, "subject s%zu {\n\tuser %s\n", i, i ? "2000" : "1000");
		for (size_t j = 0; j < each; j++) {
			char path[300];

			literal_path(path, subjects > 1 ? j : i * each + j);
			fprintf(stream, "\tallow read %s\n", path);
		}
		fprintf(stream, "}\n");
	}
	fclose(stream);
	load(setup);
	setup->path_count = random ? RANDOMS : 1;
	for (size_t i = 0; i < setup->path_count; i++)
		literal_path(setup->paths[i], random ? i * 7919 % each : 0);
	free(text);
}

/* Wildcards that all have to be tried in one directory; none matches but the last. */
static void wildcards(struct setup *setup, size_t count)
{
	FILE *stream = open_memstream(&text, &length);

	fprintf(stream, "subject s {\n\tuser 1000\n");
	for (size_t i = 0; i < count; i++)
		fprintf(stream, "\tallow read /srv/a/b/c/d/x%zu*.log\n", i);
	fprintf(stream, "\tallow read /srv/a/b/c/d/*.log\n}\n");
	fclose(stream);
	load(setup);
	setup->path_count = 1;
	strcpy(setup->paths[0], "/srv/a/b/c/d/y.log");
	free(text);
}

static void stars(struct setup *setup, size_t size)
{
	static const char policy[] = "subject s {\n\tuser 1000\n\tallow read /*a*a*a*a*b\n}\n";

	text = strdup(policy);
	length = strlen(policy);
	load(setup);
	setup->path_count = 1;
	memset(setup->paths[0], 'a', size + 1);
	setup->paths[0][0] = '/';
	free(text);
}

static double measure(const struct setup *setup)
{
	size_t lengths[RANDOMS], at = 0;
	double start;

	for (size_t i = 0; i < setup->path_count; i++)
		lengths[i] = strlen(setup->paths[i]);
	start = now();
	for (size_t i = 0; i < CALLS; i++) {
		struct policy_decision decision;

		policy_decide(setup->policy, setup->caller, setup->scratch, POLICY_READ,
			setup->paths[at], lengths[at], &decision);
		__asm__ volatile("" : : "r"(decision.reason) : "memory");
		if (++at == setup->path_count)
			at = 0;
	}
	return (now() - start) / CALLS * 1e9;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(double *times)
{
	qsort(times, ROUNDS, sizeof(*times), compare);
	return times[ROUNDS / 2];
}

int main(void)
{
	enum {
		SMALL,
		MIDDLE,
		LARGE,
		SUBJECTS,
		SMALL_RANDOM,
		LARGE_RANDOM,
		WILD_10,
		WILD_100,
		WILD_1000,
		STARS_64,
		STARS_128,
		STARS_255,
		SETUPS
	};
	static struct setup setups[SETUPS] = {
		[SMALL] = {"10 literal rules, one path"},
		[MIDDLE] = {"1,000 literal rules, one path"},
		[LARGE] = {"100,000 literal rules, one path"},
		[SUBJECTS] = {"100 rules of each of 1,000 subjects, one path"},
		[SMALL_RANDOM] = {"10 literal rules, random paths"},
		[LARGE_RANDOM] = {"100,000 literal rules, random paths"},
		[WILD_10] = {"10 wildcards in one directory"},
		[WILD_100] = {"100 wildcards in one directory"},
		[WILD_1000] = {"1,000 wildcards in one directory"},
		[STARS_64] = {"*a*a*a*a*b against 64 a"},
		[STARS_128] = {"*a*a*a*a*b against 128 a"},
		[STARS_255] = {"*a*a*a*a*b against 255 a"},
	};
	static double calls[ROUNDS];
	double base, null;

	literals(&setups[SMALL], 10, 1, false);
	literals(&setups[MIDDLE], 1000, 1, false);
	literals(&setups[LARGE], 100000, 1, false);
	literals(&setups[SUBJECTS], 100000, 1000, false);
	literals(&setups[SMALL_RANDOM], 10, 1, true);
	literals(&setups[LARGE_RANDOM], 100000, 1, true);
	wildcards(&setups[WILD_10], 10);
	wildcards(&setups[WILD_100], 100);
	wildcards(&setups[WILD_1000], 1000);
	stars(&setups[STARS_64], 64);
	stars(&setups[STARS_128], 128);
	stars(&setups[STARS_255], 255);
	for (size_t round = 0; round < ROUNDS; round++) {
		double start = now();

		for (size_t i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		calls[round] = (now() - start) / CALLS * 1e9;
		for (size_t i = 0; i < SETUPS; i++)
			setups[i].times[round] = measure(&setups[i]);
	}
	null = median(calls);
	base = median(setups[SMALL].times);
	printf("null system call: %.0f ns\n", null);
	printf("%-46s %8s %10s %9s\n", "decision at depth 6", "ns", "/ 10 rules", "/ syscall");
	for (size_t i = 0; i < SETUPS; i++) {
		double time = median(setups[i].times);

		printf("%-46s %8.0f %10.2f %9.2f\n", setups[i].name, time, time / base,
			time / null);
	}
	printf("load of 100,000 rules: %.2f s, %.0f MB; of 1,000 subjects with 100 each: %.2f s, %.0f MB\n",
		setups[LARGE].load, setups[LARGE].megabytes, setups[SUBJECTS].load,
		setups[SUBJECTS].megabytes);
	for (size_t i = 0; i < SETUPS; i++) {
		policy_scratch_free(setups[i].scratch);
		policy_caller_free(setups[i].caller);
		policy_free(setups[i].policy);
		free(setups[i].paths);
	}
	return 0;
}
