/* SPDX-License-Identifier: MIT */
/*
 * survivor ADDRESS SECONDS PATH CONTENT: opens PATH again and again, reads it and closes it, on one connection. Prints
 * how often, and the longest that one took in ms; fails at the first open that does or that gives something else.
 */
#include <fdbroker.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char got[256];
	unsigned long count = 0;
	double longest = 0;

	if (argc != 5)
		return 2;
	struct fdbroker *broker = fdbroker_connect(argv[1]);
	if (!broker) {
		perror("connect");
		return 1;
	}
	double begin = now(), end = begin + atof(argv[2]);
	while (begin < end) {
		int file = fdbroker_open(broker, argv[3], O_RDONLY);
		if (file < 0) {
			printf("open %lu: %s\n", count, strerrorname_np(errno));
			return 1;
		}
		ssize_t length = read(file, got, sizeof(got));
		close(file);
		if (length != (ssize_t)strlen(argv[4]) || memcmp(got, argv[4], (size_t)length)) {
			printf("open %lu: another file\n", count);
			return 1;
		}
		double after = now();
		if (after - begin > longest)
			longest = after - begin;
		begin = after;
		count++;
	}
	printf("%lu %.0f\n", count, longest * 1000);
	fdbroker_disconnect(broker);
	return 0;
}
