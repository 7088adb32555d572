/* SPDX-License-Identifier: MIT */
#include "resume.h"

#include "clock.h"
#include "notify.h"
#include "report.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the form: raised with every change in what is written, or in its order. */
#ifndef RESUME_VERSION
#define RESUME_VERSION 2
#endif

#define MAGIC "fdbroker-state"

/* Exit status of a child that could not execute the program. */
#define NOT_EXECUTED 127

static void transfer(struct state *state, const struct resume *resume)
{
	char magic[sizeof(MAGIC)] = MAGIC;
	int64_t version = RESUME_VERSION;

	state_text(state, magic, sizeof(magic));
	state_number(state, &version);
	if (!state->error && (strcmp(magic, MAGIC) != 0 || version != RESUME_VERSION))
		state->error = -EPROTO;
	state_text(state, resume->program, PATH_MAX);
	state_text(state, resume->started, CLOCK_STAMP);
	state_descriptor(state, resume->log);
	state_descriptor(state, resume->snapshot);
	state_integer(state, *resume->served);
	state_integer(state, *resume->backoff);
	state_integer(state, *resume->pause);
	sockets_transfer(resume->sockets, state);
	clients_transfer(resume->clients, resume->sockets, state);
	reloads_transfer(resume->reloads, state);
	crew_transfer(resume->serving, state);
	vitals_transfer(resume->vitals, state);
}

/* A descriptor of all of it, or a negative errno. */
static int save(const struct resume *resume, bool inherit)
{
	struct state state;

	state_begin(&state, inherit);
	transfer(&state, resume);
	return state_finish(&state);
}

/* Returns where it fails. */
static int execute(const struct crew_program *program, const char *option, int file)
{
	char descriptor[16], name[32];
	char **argv = calloc((size_t)program->argc + 3, sizeof(*argv));

	if (!argv)
		return -ENOMEM;
	int error = fcntl(file, F_SETFD, 0) < 0 ? -errno : 0;
	snprintf(descriptor, sizeof(descriptor), "%d", file);
	snprintf(name, sizeof(name), "%s", option);
	argv[0] = program->argv[0];
	argv[1] = name;
	argv[2] = descriptor;
	for (int i = 1; i < program->argc; i++)
		argv[i + 2] = program->argv[i];
	if (!error) {
		execv(program->path, argv);
		error = -errno;
	}
	free(argv);
	return error;
}

pid_t resume_try(const struct resume *resume, const struct crew_program *program)
{
	int file = save(resume, false);

	if (file < 0)
		return file;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		notify_clean_environment();
		report_failure(program->path, execute(program, "--resume-check", file));
		_exit(NOT_EXECUTED);
	}
	int error = pid < 0 ? -errno : 0;
	close(file);
	return error ? error : pid;
}

const char *resume_refused(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_EXECUTED)
		return "the program cannot be executed: the daemon goes on as it is";
	if (WIFSIGNALED(status))
		return "the program died or took too long: the daemon goes on as it is";
	return "the program that is installed could not take over: the daemon goes on as it is";
}

int resume_execute(const struct resume *resume, const struct crew_program *program)
{
	int file = save(resume, true);
	int error = file < 0 ? file : execute(program, "--resume", file);

	/* Still here: nothing is to reach a worker. */
	close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	if (file >= 0)
		close(file);
	return error;
}

int resume_read(int file, const struct resume *resume)
{
	struct state state;

	state_open(&state, file);
	transfer(&state, resume);
	close(file);
	return state_done(&state);
}

/* The process ends afterwards: the descriptors in it are not open here, and nothing is tidied up. */
int resume_check(int file)
{
	static char program[PATH_MAX], started[CLOCK_STAMP];
	static struct sockets sockets;
	static struct reloads reloads;
	static struct crew serving;
	static struct vitals vitals;
	int log, snapshot, backoff;
	int64_t pause;
	bool served;
	const struct resume resume = {
		.program = program,
		.started = started,
		.log = &log,
		.snapshot = &snapshot,
		.served = &served,
		.backoff = &backoff,
		.pause = &pause,
		.sockets = &sockets,
		.clients = clients_new(UINT32_MAX / 2),
		.reloads = &reloads,
		.serving = &serving,
		.vitals = &vitals,
	};
	int error = resume.clients ? resume_read(file, &resume) : -ENOMEM;

	if (error)
		report_failure("taking over from the daemon that runs", error);
	return error ? 1 : 0;
}
