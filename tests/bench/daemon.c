// SPDX-License-Identifier: MIT
/*
 * daemon.c: starts the real broker, the way its own documentation says, and ends it again.
 *
 * It listens on an abstract name that no other run has, and it is told to end by the kernel too
 * should this process die, so that nothing is ever left behind.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_SECONDS 10
#define STOP_SECONDS  5
/* Whom the broker's worker runs as: nobody's uid on any system that we know of. */
#define WORKER_UID "64987"

static bool is_ready(const char *line)
{
	const char *event = strstr(line, "\"event\"");

	if (!event)
		return false;
	event += strlen("\"event\"");
	event += strspn(event, ": ");
	return strncmp(event, "\"ready\"", strlen("\"ready\"")) == 0;
}

/* Reads the log line by line until the broker is ready. -1 at its end or when time is up. */
static int wait_ready(struct daemon *broker)
{
	struct pollfd readable = {.fd = broker->log, .events = POLLIN};
	const time_t end = time(NULL) + START_SECONDS;
	bool line_ended = false;
	size_t used = 0;
	char byte;

	while (time(NULL) < end) {
		if (poll(&readable, 1, 1000) <= 0)
			continue;
		if (read(broker->log, &byte, 1) != 1) {
			if (used == 0)
				strcpy(broker->line, "it ended without a word");
			return -1;
		}
		if (line_ended)
			used = 0;
		line_ended = byte == '\n';
		if (!line_ended && used < sizeof(broker->line) - 1)
			broker->line[used++] = byte;
		broker->line[used] = '\0';
		if (line_ended && is_ready(broker->line))
			return 0;
	}
	snprintf(broker->line, sizeof(broker->line), "it was not ready after %d seconds",
		START_SECONDS);
	return -1;
}

int daemon_start(struct daemon *broker, const char *program, const char *policy)
{
	pid_t parent = getpid();
	int ends[2];

	memset(broker, 0, sizeof(*broker));
	static int number;

	snprintf(broker->address, sizeof(broker->address), "@fdbroker-bench-%d-%d", (int)parent,
		number++);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		snprintf(broker->line, sizeof(broker->line), "pipe: %s", strerror(errno));
		return -1;
	}
	broker->log = ends[0];
	broker->pid = fork();
	if (broker->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		dup2(ends[1], STDERR_FILENO);
		execl(program, program, "--policy", policy, "--listen", broker->address, "--user",
			WORKER_UID, (char *)NULL);
		dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	if (broker->pid < 0) {
		snprintf(broker->line, sizeof(broker->line), "fork: %s", strerror(errno));
		close(broker->log);
		return -1;
	}
	if (wait_ready(broker) < 0) {
		daemon_stop(broker);
		return -1;
	}
	return 0;
}

int daemon_stop(struct daemon *broker)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	int status = -1;
	int turns;

	kill(broker->pid, SIGTERM);
	for (turns = 0; turns < STOP_SECONDS * 100; turns++) {
		if (waitpid(broker->pid, &status, WNOHANG) == broker->pid)
			break;
		nanosleep(&pause, NULL);
	}
	if (turns == STOP_SECONDS * 100) {
		kill(broker->pid, SIGKILL);
		waitpid(broker->pid, &status, 0);
	}
	/* Only now: what it says while it ends must not end it (SIGPIPE). */
	close(broker->log);
	return status;
}
