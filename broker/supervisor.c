/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include "audit.h"
#include "channel.h"
#include "clock.h"
#include "fdbroker-protocol.h"
#include "report.h"
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms. After a worker that died before it was ready the next one waits, twice as long each time. */
#define BACKOFF_FIRST 100
#define BACKOFF_MOST  10000
/* ms. After one that was ready: no time to a person, and an end to what a client could make of a request that
 * kills it. */
#define RESTART_PAUSE 20
/* ms that a worker has to end when it is told to; then it is killed, and not waited for. */
#define STOP_TIME 500

struct supervisor {
	const struct options *options;
	int argc;
	char **argv;
	char program[PATH_MAX]; /* what the worker executes: this program, by its name */
	int log, signals;
	struct sockets sockets;
	char started[CLOCK_STAMP];

	pid_t worker; /* 0 where there is none */
	pid_t maker;  /* the one that it asks (maker.h); likewise */
	int channel;  /* to the worker; -1 where there is none */
	bool ready;   /* it is confined and serves */
	bool served;  /* some worker was ready once */
	int backoff;
	int64_t due; /* ms: when to start the next worker, or to kill the one that stops; 0: never
		      */

	bool stopping;
	int status; /* to exit with */
	struct audit_line line;
};

static void record(struct supervisor *supervisor, const char *event)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "version", FDBROKER_VERSION);
	audit_number(line, "pid", getpid());
	audit_string(line, "policy", supervisor->options->policy);
	audit_end(line);
}

/* ---- the worker -------------------------------------------------------------------------------
 */

/* In the child. Signals stay blocked: it is told what to do by its channel. */
static _Noreturn void execute(struct supervisor *supervisor, const char *option, int channel)
{
	char descriptor[16], *role = strdup(option);
	char **argv = calloc((size_t)supervisor->argc + 3, sizeof(*argv));

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!argv || !role || fcntl(channel, F_SETFD, 0) < 0)
		_exit(1);
	snprintf(descriptor, sizeof(descriptor), "%d", channel);
	argv[0] = supervisor->argv[0];
	argv[1] = role;
	argv[2] = descriptor;
	for (int i = 1; i < supervisor->argc; i++)
		argv[i + 2] = supervisor->argv[i];
	execv(supervisor->program, argv);
	report_failure("executing the worker", -errno);
	_exit(1);
}

/* Starts this program in that part, with the descriptor. Its pid or a negative errno. */
static pid_t start(struct supervisor *supervisor, const char *option, int channel)
{
	pid_t pid = fork();

	if (pid == 0)
		execute(supervisor, option, channel);
	return pid < 0 ? -errno : pid;
}

static void close_channel(struct supervisor *supervisor)
{
	if (supervisor->channel >= 0)
		close(supervisor->channel);
	supervisor->channel = -1;
}

/* Starts the maker. The worker's end of the socket to it, or a negative errno. */
static int start_maker(struct supervisor *supervisor)
{
	int questions[2];
	int error = channel_pair_waiting(questions);

	if (error)
		return error;
	pid_t pid = start(supervisor, "--maker", questions[0]);
	close(questions[0]);
	if (pid < 0) {
		close(questions[1]);
		return pid;
	}
	supervisor->maker = pid;
	return questions[1];
}

/* Starts the worker at the end of `channel`, and gives it the one of `questions`. 0 or a negative errno. */
static int start_at(struct supervisor *supervisor, int channel, int questions)
{
	struct channel_message message = {.type = CHANNEL_START, .descriptor = questions};

	strcpy(message.text, supervisor->started);
	int error = channel_send(supervisor->channel, &message);
	if (error)
		return error;
	pid_t pid = start(supervisor, "--worker", channel);
	if (pid < 0)
		return pid;
	supervisor->worker = pid;
	return 0;
}

/* They may hang in the kernel, and survive this for as long as it pleases: nobody waits for them. */
static void kill_both(struct supervisor *supervisor)
{
	if (supervisor->worker)
		kill(supervisor->worker, SIGKILL);
	if (supervisor->maker)
		kill(supervisor->maker, SIGKILL);
	supervisor->maker = 0;
	close_channel(supervisor);
}

static int start_worker(struct supervisor *supervisor)
{
	int channel[2];
	int error = channel_pair(channel);

	supervisor->due = 0;
	supervisor->ready = false;
	if (error)
		return error;
	supervisor->channel = channel[0];
	int questions = start_maker(supervisor);
	error = questions < 0 ? questions : start_at(supervisor, channel[1], questions);
	if (questions >= 0)
		close(questions);
	close(channel[1]);
	if (error)
		kill_both(supervisor);
	return error;
}

static void schedule_worker(struct supervisor *supervisor)
{
	supervisor->due = clock_ms() + supervisor->backoff;
	supervisor->backoff *= 2;
	if (supervisor->backoff > BACKOFF_MOST)
		supervisor->backoff = BACKOFF_MOST;
}

static void forget_worker(struct supervisor *supervisor)
{
	kill_both(supervisor);
	supervisor->worker = 0;
}

static void begin_stop(struct supervisor *supervisor, int status)
{
	struct channel_message message = {.type = CHANNEL_STOP, .descriptor = -1};

	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->status = status;
	supervisor->due = clock_ms() + STOP_TIME;
	if (supervisor->worker && supervisor->ready)
		channel_send(supervisor->channel, &message);
	else if (supervisor->worker)
		kill(supervisor->worker, SIGKILL);
}

static void record_death(struct supervisor *supervisor, int status)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, "worker");
	audit_string(line, "verdict", "error");
	audit_number(line, "pid", supervisor->worker);
	audit_string(line, "reason",
		supervisor->ready
			? "the worker died and is started again"
			: "the worker died before it was ready and is started again later");
	if (WIFSIGNALED(status))
		audit_string(line, "signal", sigabbrev_np(WTERMSIG(status)));
	else
		audit_number(line, "status", WEXITSTATUS(status));
	audit_end(line);
}

static void worker_ended(struct supervisor *supervisor, int status)
{
	if (!supervisor->stopping && !supervisor->served && WIFEXITED(status)) {
		/* It has said why: nothing that trying again would mend. */
		begin_stop(supervisor, 1);
	} else if (!supervisor->stopping) {
		record_death(supervisor, status);
		if (supervisor->ready)
			supervisor->due = clock_ms() + RESTART_PAUSE;
		else
			schedule_worker(supervisor);
	}
	forget_worker(supervisor);
}

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == supervisor->worker) {
			worker_ended(supervisor, status);
		} else if (pid == supervisor->maker) {
			/* The worker has broken its rules, or the maker its own: neither goes on without the other. */
			supervisor->maker = 0;
			kill_both(supervisor);
		}
	}
}

static void record_ready(struct supervisor *supervisor, const char *summary)
{
	struct audit_line *line = &supervisor->line;
	char addresses[OPTIONS_ADDRESSES_MAX * 110] = "";
	size_t used = 0;

	for (unsigned int i = 0; i < supervisor->options->address_count; i++)
		used += (size_t)snprintf(addresses + used, sizeof(addresses) - used, "%s%s",
			i ? " " : "", supervisor->options->addresses[i]);
	audit_begin(line, supervisor->log, "ready");
	audit_string(line, "version", FDBROKER_VERSION);
	audit_number(line, "pid", getpid());
	audit_number(line, "worker", supervisor->worker);
	audit_string(line, "policy", supervisor->options->policy);
	audit_string(line, "summary", summary);
	audit_string(line, "listen", addresses);
	audit_end(line);
}

static void worker_ready(struct supervisor *supervisor, const char *summary)
{

	int error = supervisor->sockets.listening ? sockets_mend(&supervisor->sockets)
						  : sockets_open(&supervisor->sockets);
	if (error) {
		if (supervisor->sockets.listening)
			report_failure("listening again", error);
		begin_stop(supervisor, 1);
		return;
	}
	supervisor->ready = true;
	supervisor->served = true;
	supervisor->backoff = BACKOFF_FIRST;
	if (sockets_give(&supervisor->sockets, supervisor->channel)) {
		kill_both(supervisor);
		return;
	}
	record_ready(supervisor, summary);
}

/* ---- what happens -----------------------------------------------------------------------------
 */

static void hear_worker(struct supervisor *supervisor)
{
	struct channel_message message = {.descriptor = -1};
	int got = channel_receive(supervisor->channel, &message);

	if (got == 1 && message.descriptor < 0 && !supervisor->ready) {
		if (message.type == CHANNEL_READY) {
			worker_ready(supervisor, message.text);
			return;
		}
	}
	if (message.descriptor >= 0)
		close(message.descriptor);
	if (message.object > 0)
		close(message.object);
	kill_both(supervisor);
}

static void hear_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(supervisor);
	else if (info.ssi_signo != SIGHUP)
		begin_stop(supervisor, 0);
}

/* Returns in how many ms to come back, -1 for never. */
static int keep_time(struct supervisor *supervisor)
{
	int64_t now = clock_ms();

	if (!supervisor->due)
		return -1;
	if (supervisor->due > now)
		return (int)(supervisor->due - now);
	if (!supervisor->stopping) {
		int error = start_worker(supervisor);
		if (error) {
			report_failure("starting a worker", error);
			schedule_worker(supervisor);
		}
	} else if (supervisor->worker) {
		/* A task that hangs in the kernel survives SIGKILL for as long as it pleases. */
		kill(supervisor->worker, SIGKILL);
		forget_worker(supervisor);
	}
	return 0;
}

static void run(struct supervisor *supervisor)
{
	while (!supervisor->stopping || supervisor->worker) {
		int wait = keep_time(supervisor);
		struct pollfd sources[] = {
			{.fd = supervisor->signals, .events = POLLIN},
			{.fd = supervisor->channel, .events = POLLIN},
		};
		if (poll(sources, 2, wait) < 0)
			continue;
		if (sources[1].revents && supervisor->channel >= 0)
			hear_worker(supervisor);
		if (sources[0].revents)
			hear_signal(supervisor);
	}
}

/* ---- the life ---------------------------------------------------------------------------------
 */

/*
 * Whoever may write in a granted directory could hard-link any file into it, if the kernel let him link what
 * he may not write. Looking at the number of links afterwards would be a race. 0, or -EPERM after saying so.
 */
static int check_hardlinks(const struct options *options)
{
	char answer = '1';
	int file = open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return 0;
	if (read(file, &answer, 1) != 1)
		answer = '1';
	close(file);
	if (answer != '0' || options->unprotected_links)
		return 0;
	fprintf(stderr,
		"fdbrokerd: fs.protected_hardlinks is 0: anybody could link a file into a directory that "
		"is granted; set it to 1, or start with --allow-unprotected-hardlinks\n");
	return -EPERM;
}

static int prepare(struct supervisor *supervisor)
{
	sigset_t signals;
	ssize_t length = readlink("/proc/self/exe", supervisor->program, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	clock_stamp(supervisor->started);
	sockets_init(&supervisor->sockets, supervisor->options, &supervisor->line, supervisor->log);
	/* Inherited as ignored, it would never tell of the worker's end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	supervisor->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	return supervisor->signals < 0 ? -errno : 0;
}

int supervisor_run(const struct options *options, int argc, char **argv, int log)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int error = supervisor ? 0 : -ENOMEM, status = 1;

	if (!error) {
		supervisor->options = options;
		supervisor->argc = argc;
		supervisor->argv = argv;
		supervisor->log = log;
		supervisor->channel = -1;
		supervisor->backoff = BACKOFF_FIRST;
		error = prepare(supervisor);
	}
	if (!error && check_hardlinks(options)) {
		free(supervisor);
		return 1;
	}
	if (!error) {
		record(supervisor, "start");
		error = start_worker(supervisor);
	}
	if (error) {
		report_failure("starting", error);
	} else {
		run(supervisor);
		sockets_close(&supervisor->sockets);
		record(supervisor, "stop");
		close(supervisor->signals);
		status = supervisor->status;
	}
	free(supervisor);
	return status;
}
