/* SPDX-License-Identifier: MIT */
/* bare.h: the least that passing a descriptor can cost. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <sys/types.h>

/* openat2(2) for reading, close-on-exec, with nothing else asked of it. A descriptor, or -1 and
 * errno. */
int bare_openat2(const char *path);

struct bare_server {
	pid_t pid;
	int fd;
};

/* Starts the server: a forked child. -1 and errno. */
int bare_start(struct bare_server *server);
/* Asks it for `path`. A descriptor, or -1. */
int bare_open(const struct bare_server *server, const char *path);
void bare_stop(struct bare_server *server);

#endif
