/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include "notify.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_THREAD /* Linux 6.9; not in the headers of Debian 12 */
#define PIDFD_THREAD O_EXCL
#endif

void crew_init(struct crew *crew)
{
	*crew = (struct crew){.channel = -1, .sentinel = -1, .snapshot = -1};
}

void crew_clear(struct crew *crew)
{
	if (crew->sentinel >= 0)
		close(crew->sentinel);
	crew_init(crew);
}

/* In the child. Signals stay blocked: it is told what to do by its channel. */
static _Noreturn void execute(const struct crew_program *program, const char *option, int channel)
{
	char descriptor[16], *role = strdup(option);
	char **argv = calloc((size_t)program->argc + 3, sizeof(*argv));

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!argv || !role || fcntl(channel, F_SETFD, 0) < 0)
		_exit(1);
	snprintf(descriptor, sizeof(descriptor), "%d", channel);
	notify_clean_environment();
	argv[0] = program->argv[0];
	argv[1] = role;
	argv[2] = descriptor;
	for (int i = 1; i < program->argc; i++)
		argv[i + 2] = program->argv[i];
	execv(program->path, argv);
	report_failure("executing the worker", -errno);
	_exit(1);
}

/* Starts this program in that part, with the descriptor. Its pid or a negative errno. */
static pid_t start(const struct crew_program *program, const char *option, int channel)
{
	pid_t pid = fork();

	if (pid == 0)
		execute(program, option, channel);
	return pid < 0 ? -errno : pid;
}

/* Starts the maker. The worker's end of the socket to it, or a negative errno. */
static int start_maker(struct crew *crew, const struct crew_program *program)
{
	struct channel_message message = {
		.type = CHANNEL_START,
		.descriptor = program->vouched,
	};
	int questions[2];
	int error = channel_pair_waiting(questions);

	if (error)
		return error;
	/* From the end that will be the worker's: what is said there before it lives is ours. */
	error = channel_send(questions[1], &message);
	pid_t pid = error ? error : start(program, "--maker", questions[0]);
	close(questions[0]);
	if (pid < 0) {
		close(questions[1]);
		return pid;
	}
	crew->maker = pid;
	return questions[1];
}

/* Starts the worker at the end of `channel`, and gives it the one of `questions`. 0 or a negative errno. */
static int start_worker(struct crew *crew, const struct crew_program *program, int snapshot,
	int channel, int questions)
{
	struct channel_message message = {
		.type = CHANNEL_START,
		.attributes = snapshot >= 0,
		.descriptor = questions,
	};
	struct channel_message copy = {.type = CHANNEL_SNAPSHOT, .descriptor = snapshot};

	snprintf(message.text, sizeof(message.text), "%s", program->started);
	int error = channel_send(crew->channel, &message);
	if (!error && snapshot >= 0)
		error = channel_send(crew->channel, &copy);
	if (error)
		return error;
	pid_t pid = start(program, "--worker", channel);
	if (pid < 0)
		return pid;
	crew->worker = pid;
	return 0;
}

int crew_start(struct crew *crew, const struct crew_program *program, int snapshot)
{
	int channel[2];

	crew_init(crew);
	int error = channel_pair(channel);
	if (error)
		return error;
	crew->channel = channel[0];
	int questions = start_maker(crew, program);
	error = questions < 0 ? questions
			      : start_worker(crew, program, snapshot, channel[1], questions);
	if (questions >= 0)
		close(questions);
	close(channel[1]);
	if (error) {
		crew_kill(crew);
		crew_clear(crew);
	}
	return error;
}

void crew_kill(struct crew *crew)
{
	if (crew->worker)
		kill(crew->worker, SIGKILL);
	if (crew->maker)
		kill(crew->maker, SIGKILL);
	crew->maker = 0;
	if (crew->channel >= 0)
		close(crew->channel);
	crew->channel = -1;
	if (crew->snapshot >= 0)
		close(crew->snapshot);
	crew->snapshot = -1;
}

bool crew_ended(struct crew *crew, pid_t pid)
{
	if (pid == crew->worker) {
		crew->worker = 0;
		crew_kill(crew);
		return true;
	}
	/* The worker has broken its rules, or the maker its own: neither goes on without the other. */
	if (pid == crew->maker) {
		crew->maker = 0;
		crew_kill(crew);
	}
	return false;
}

void crew_transfer(struct crew *crew, struct state *state)
{
	state_integer(state, crew->worker);
	state_integer(state, crew->maker);
	state_descriptor(state, &crew->channel);
	state_descriptor(state, &crew->sentinel);
	state_integer(state, crew->untold);
	state_integer(state, crew->ready);
	state_text(state, crew->summary, sizeof(crew->summary));
	state_text(state, crew->report, sizeof(crew->report));
}

void crew_watch(struct crew *crew, pid_t thread)
{
	if (thread > 0 && crew->sentinel < 0)
		crew->sentinel = (int)syscall(SYS_pidfd_open, thread, PIDFD_THREAD);
}

bool crew_is_dead(const struct crew *crew)
{
	struct pollfd thread = {.fd = crew->sentinel, .events = POLLIN};

	return crew->worker && crew->sentinel >= 0 && poll(&thread, 1, 0) > 0;
}

void crew_report(struct crew *crew, const char *line)
{
	size_t used = strlen(crew->report);

	snprintf(crew->report + used, sizeof(crew->report) - used, "%s\n", line);
}
