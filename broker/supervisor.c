/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include "audit.h"
#include "clients.h"
#include "clock.h"
#include "confine.h"
#include "crew.h"
#include "destination.h"
#include "fdbroker-protocol.h"
#include "reloads.h"
#include "report.h"
#include "resume.h"
#include "sealed.h"
#include "sockets.h"
#include "syscalls.h"
#include "violation.h"
#include "vitals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms. After a worker that died before it was ready the next one waits, twice as long each time. */
#define BACKOFF_FIRST 100
#define BACKOFF_MOST  10000
/* ms that a worker has to end when it is told to; then it is killed, and not waited for. */
#define STOP_TIME 500
/* ms that a program has to say whether it could go on in the place of this one. */
#define TRIAL_TIME 5000
/* ms that a worker may take to load, while another one serves and while none does. */
#define LOAD_TIME	60000
#define LOAD_TIME_ALONE 3000
/* ms without accepting when there is no room for another connection. */
#define ACCEPT_PAUSE 100
/* ms between two lines that tell of that. */
#define ACCEPT_TELL 10000
/* Connections accepted before the others get their turn. */
#define ACCEPT_BURST 16
/* Descriptors that are kept for other things than clients. */
#define DESCRIPTORS_KEPT 1024

struct supervisor {
	const struct options *options;
	char program[PATH_MAX]; /* what the worker executes: this program, by its name */
	char started[CLOCK_STAMP];
	struct crew_program how;
	int log, signals;
	struct sockets sockets;
	struct clients *clients;
	bool crowded;  /* the worker does not take more clients at the moment */
	int64_t pause; /* ms: until then nothing is accepted; 0: it is */
	int64_t told;  /* ms: when it was last said that there was no room; 0: never */

	struct crew serving; /* empty where none does */
	struct crew coming;  /* that loads, to take over; empty */
	bool leaving;	     /* the one that serves has been told that the other takes over */
	bool served;	     /* some worker was ready once */
	int snapshot; /* the policy that serves, for one that takes the place of its worker; -1 */
	struct reloads reloads;
	struct vitals vitals;
	int backoff;
	int64_t load_end; /* ms: when to give up the one that loads */
	int64_t start;	  /* ms: when to start the next crew; 0: not */
	int64_t kill;	  /* ms: when to kill the one that leaves or stops; 0: never */

	pid_t trial; /* the child that tries the program that is to be executed anew (resume.h); 0 */
	int64_t trial_end; /* ms: when to kill it */
	bool moving; /* it could, and is to be executed as soon as nothing is being handed over */

	bool stopping;
	int status; /* to exit with */
	struct audit_line line;
};

/* ---- the record ------------------------------------------------------------------------------- */

static void record(struct supervisor *supervisor, const char *event)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "version", FDBROKER_VERSION);
	audit_number(line, "pid", getpid());
	audit_string(line, "policy", supervisor->options->policy);
	audit_end(line);
}

static void record_error(struct supervisor *supervisor, const char *event, const char *reason)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", reason);
	audit_end(line);
}

static void record_death(struct supervisor *supervisor, pid_t pid, int status, const char *reason)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, "worker");
	audit_string(line, "verdict", "error");
	audit_number(line, "pid", pid);
	audit_string(line, "reason", reason);
	if (WIFSIGNALED(status))
		audit_string(line, "signal", sigabbrev_np(WTERMSIG(status)));
	else
		audit_number(line, "status", WEXITSTATUS(status));
	audit_end(line);
}

static void record_ready(struct supervisor *supervisor)
{
	struct audit_line *line = &supervisor->line;
	char addresses[SOCKETS_TEXT];

	sockets_describe(&supervisor->sockets, addresses);
	audit_begin(line, supervisor->log, "ready");
	audit_string(line, "version", FDBROKER_VERSION);
	audit_number(line, "pid", getpid());
	audit_number(line, "worker", supervisor->serving.worker);
	audit_string(line, "policy", supervisor->options->policy);
	audit_string(line, "summary", supervisor->serving.summary);
	audit_string(line, "listen", addresses);
	audit_end(line);
}

/* Gives the worker the record's new file. */
static void tell_log(struct supervisor *supervisor, struct crew *crew)
{
	struct channel_message message = {.type = CHANNEL_LOG, .descriptor = supervisor->log};
	int error = crew->channel < 0 ? 0 : channel_send(crew->channel, &message);

	crew->untold = error == -EAGAIN;
	if (error && error != -EAGAIN)
		crew_kill(crew);
}

/* What was moved away (logrotate(8)) is let go of. Where there is no other to be had, it is kept. */
static void reopen_log(struct supervisor *supervisor)
{
	const char *log = supervisor->options->log;
	int fresh = log ? destination_open(log) : -1;

	if (!log)
		return; /* standard error is somebody else's to open */
	if (fresh >= 0)
		destination_replace(supervisor->log, fresh);
	audit_begin(&supervisor->line, supervisor->log, "log");
	if (fresh < 0) {
		audit_string(&supervisor->line, "verdict", "error");
		audit_string(&supervisor->line, "reason", "it goes on where it was");
		audit_errno(&supervisor->line, -fresh);
	} else {
		audit_string(&supervisor->line, "reason", "opened anew");
	}
	audit_end(&supervisor->line);
	if (fresh < 0)
		return;
	tell_log(supervisor, &supervisor->serving);
	tell_log(supervisor, &supervisor->coming);
}

/* ---- crews come and go ------------------------------------------------------------------------ */

static void begin_stop(struct supervisor *supervisor, int status)
{
	struct channel_message message = {.type = CHANNEL_STOP, .descriptor = -1};
	struct crew *serving = &supervisor->serving;

	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	vitals_stopping(&supervisor->vitals);
	supervisor->status = status;
	supervisor->start = 0;
	supervisor->kill = clock_ms() + STOP_TIME;
	crew_kill(&supervisor->coming);
	if (serving->channel < 0 || channel_send(serving->channel, &message))
		crew_kill(serving);
}

static void start_later(struct supervisor *supervisor)
{
	supervisor->start = clock_ms() + supervisor->backoff;
	supervisor->backoff *= 2;
	if (supervisor->backoff > BACKOFF_MOST)
		supervisor->backoff = BACKOFF_MOST;
}

static void start_crew(struct supervisor *supervisor)
{
	/* Unless somebody wants the policy as it is in the files, it stays the one that served. */
	int snapshot = reloads_wanted(&supervisor->reloads) ? -1 : supervisor->snapshot;

	supervisor->start = 0;
	supervisor->load_end = clock_ms() + LOAD_TIME;
	reloads_begin(&supervisor->reloads);
	supervisor->how.vouched = clients_vouched(supervisor->clients);
	int error = crew_start(&supervisor->coming, &supervisor->how, snapshot);
	if (!error)
		return;
	report_failure("starting a worker", error);
	reloads_end(&supervisor->reloads, -error, "a worker cannot be started\n");
	if (!supervisor->serving.worker)
		start_later(supervisor);
}

/* Begins a reload that somebody wants, unless one is under way. */
static void start_reload(struct supervisor *supervisor)
{
	if (!supervisor->stopping && supervisor->served && !supervisor->coming.worker &&
		!supervisor->start && reloads_wanted(&supervisor->reloads)) {
		vitals_reloading(&supervisor->vitals);
		start_crew(supervisor);
		if (!supervisor->coming.worker)
			vitals_goes_on(&supervisor->vitals, supervisor->serving.summary);
	}
}

/* Gives the worker its clients, and then the answers that are for some of them. */
static void give(struct supervisor *supervisor)
{
	struct crew *serving = &supervisor->serving;
	int error = 0;

	if (serving->channel < 0 || !serving->ready || supervisor->leaving)
		return;
	if (!supervisor->pause)
		error = clients_give(supervisor->clients, serving->channel);
	if (!error && !supervisor->pause)
		error = reloads_answer(&supervisor->reloads, supervisor->clients, serving->channel);
	supervisor->crowded = error == -EAGAIN;
	if (error && error != -EAGAIN)
		crew_kill(serving);
}

/* The crew that has come serves from now on. */
static void promote(struct supervisor *supervisor)
{
	supervisor->leaving = false;
	supervisor->kill = 0;
	supervisor->serving = supervisor->coming;
	if (supervisor->snapshot >= 0)
		close(supervisor->snapshot);
	supervisor->snapshot = supervisor->serving.snapshot;
	supervisor->serving.snapshot = -1;
	crew_init(&supervisor->coming);
	supervisor->served = true;
	supervisor->backoff = BACKOFF_FIRST;
	clients_give_all(supervisor->clients);
	reloads_end(&supervisor->reloads, 0, supervisor->serving.report);
	record_ready(supervisor);
	vitals_ready(&supervisor->vitals, supervisor->serving.summary);
	give(supervisor);
	start_reload(supervisor);
}

/* The crew that loads is ready. Before it serves, the one that does must have stopped deciding. */
static void take_over(struct supervisor *supervisor)
{
	struct channel_message message = {.type = CHANNEL_HANDOVER, .descriptor = -1};
	struct crew *serving = &supervisor->serving;

	if (!supervisor->sockets.listening && sockets_open(&supervisor->sockets)) {
		begin_stop(supervisor, 1);
		return;
	}
	if (!serving->worker) {
		promote(supervisor);
		return;
	}
	supervisor->leaving = true;
	supervisor->kill = clock_ms() + STOP_TIME;
	if (serving->channel < 0 || channel_send(serving->channel, &message))
		crew_kill(serving);
}

static void serving_ended(struct supervisor *supervisor, pid_t pid, int status, const char *reason)
{
	crew_clear(&supervisor->serving);
	if (supervisor->stopping)
		return;
	if (supervisor->leaving && supervisor->coming.ready) {
		promote(supervisor);
		return;
	}
	supervisor->leaving = false;
	supervisor->kill = 0;
	vitals_interrupted(&supervisor->vitals);
	record_death(supervisor, pid, status, reason);
	/* One that loads takes over as soon as it is ready; but if it hangs, in a file of the policy perhaps, the policy
	 * that served is to hand. */
	if (supervisor->coming.worker && supervisor->load_end > clock_ms() + LOAD_TIME_ALONE)
		supervisor->load_end = clock_ms() + LOAD_TIME_ALONE;
	if (!supervisor->coming.worker && !supervisor->start)
		start_crew(supervisor);
}

/* It does not end when it is told to, or does not answer: it may hang in the kernel, and then survives this for as long
 * as it pleases. */
static void lose_serving(struct supervisor *supervisor, const char *reason)
{
	pid_t pid = supervisor->serving.worker;

	crew_kill(&supervisor->serving);
	if (pid)
		serving_ended(supervisor, pid, SIGKILL, reason);
}

static void coming_ended(struct supervisor *supervisor, pid_t pid, int status)
{
	struct crew *coming = &supervisor->coming;
	bool refused = WIFEXITED(status) && !coming->ready;

	reloads_end(&supervisor->reloads, refused ? EINVAL : ECONNRESET,
		coming->report[0] ? coming->report
				  : "the new worker could not start: the daemon's log says why\n");
	crew_clear(coming);
	if (supervisor->stopping)
		return;
	if (!supervisor->served && refused) {
		/* It has said why: nothing that trying again would mend. */
		begin_stop(supervisor, 1);
	} else if (supervisor->serving.worker && !supervisor->leaving) {
		record_error(supervisor, "reload",
			"the policy was not loaded; the one before it goes on");
		vitals_goes_on(&supervisor->vitals, supervisor->serving.summary);
		give(supervisor);
		start_reload(supervisor);
	} else if (!supervisor->serving.worker) {
		record_death(supervisor, pid, status,
			"the worker died before it was ready and is started again later");
		start_later(supervisor);
	}
}

/* It does not come to its end. */
static void lose_coming(struct supervisor *supervisor)
{
	pid_t pid = supervisor->coming.worker;

	crew_report(&supervisor->coming, "the new worker took too long to load the policy");
	crew_kill(&supervisor->coming);
	coming_ended(supervisor, pid, SIGKILL);
}

/* ---- the program, anew ------------------------------------------------------------------------ */

static struct resume resumption(struct supervisor *supervisor)
{
	return (struct resume){
		.program = supervisor->program,
		.started = supervisor->started,
		.log = &supervisor->log,
		.snapshot = &supervisor->snapshot,
		.served = &supervisor->served,
		.backoff = &supervisor->backoff,
		.pause = &supervisor->pause,
		.sockets = &supervisor->sockets,
		.clients = supervisor->clients,
		.reloads = &supervisor->reloads,
		.serving = &supervisor->serving,
		.vitals = &supervisor->vitals,
	};
}

static void begin_trial(struct supervisor *supervisor)
{
	const struct resume resume = resumption(supervisor);

	if (supervisor->stopping || supervisor->trial || supervisor->moving)
		return;
	pid_t pid = resume_try(&resume, &supervisor->how);
	if (pid < 0) {
		report_failure("executing the program anew", pid);
		record_error(
			supervisor, "resume", "it cannot be tried: the daemon goes on as it is");
		return;
	}
	supervisor->trial = pid;
	supervisor->trial_end = clock_ms() + TRIAL_TIME;
}

static void trial_ended(struct supervisor *supervisor, int status)
{
	const char *refused = resume_refused(status);

	supervisor->trial = 0;
	supervisor->trial_end = 0;
	if (refused)
		record_error(supervisor, "resume", refused);
	else
		supervisor->moving = true;
}

/* What is being loaded is loaded again afterwards. Returns only where it fails. */
static void move(struct supervisor *supervisor)
{
	const struct resume resume = resumption(supervisor);

	bool loads = supervisor->coming.worker != 0;

	supervisor->moving = false;
	crew_kill(&supervisor->coming);
	crew_clear(&supervisor->coming);
	report_failure("executing the program anew", resume_execute(&resume, &supervisor->how));
	record_error(supervisor, "resume",
		"the program cannot be executed: the daemon goes on as it is");
	if (loads && supervisor->serving.worker) {
		reloads_signal(&supervisor->reloads);
		start_reload(supervisor);
	} else if (loads) {
		supervisor->start = clock_ms();
	}
}

/* ---- who has ended ----------------------------------------------------------------------------- */

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (crew_ended(&supervisor->serving, pid))
			serving_ended(supervisor, pid, status, "the worker died and is replaced");
		else if (crew_ended(&supervisor->coming, pid))
			coming_ended(supervisor, pid, status);
		else if (pid == supervisor->trial)
			trial_ended(supervisor, status);
	}
}

/* A thread of the worker's has ended. The others end with it, and it is reaped, unless one hangs in a file system. */
static void bury(struct supervisor *supervisor)
{
	for (int tries = 0; tries < 4 && crew_is_dead(&supervisor->serving); tries++) {
		usleep(5000);
		reap(supervisor);
	}
	if (crew_is_dead(&supervisor->serving))
		lose_serving(supervisor, "the worker died, but for what hangs, and is replaced");
}

/* ---- what a worker says ----------------------------------------------------------------------- */

/* 0, or a negative errno where no worker says that. */
static int take_reload(struct supervisor *supervisor, const struct channel_message *message)
{
	uid_t uid;

	/* Not only the worker's word counts for who may. */
	if (!clients_uid(supervisor->clients, message->index, &uid) ||
		(uid != 0 && uid != geteuid()))
		return -EPROTO;
	if (reloads_ask(&supervisor->reloads, message->index, message->id))
		return 0; /* without memory he waits until another worker says that it was lost */
	clients_expect(supervisor->clients, message->index, message->id);
	start_reload(supervisor);
	give(supervisor);
	return 0;
}

static int hear_serving(struct supervisor *supervisor, struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_CLOSED:
		reloads_forget(&supervisor->reloads, message->index);
		return clients_drop(supervisor->clients, message->index) ? 0 : -EPROTO;
	case CHANNEL_BACK:
		supervisor->pause = clock_ms() + ACCEPT_PAUSE;
		return clients_back(supervisor->clients, message->index) ? 0 : -EPROTO;
	case CHANNEL_RELOAD:
		return take_reload(supervisor, message);
	case CHANNEL_PONG:
		return supervisor->stopping || vitals_answered(&supervisor->vitals) ? 0 : -EPROTO;
	}
	return -EPROTO;
}

static int hear_coming(struct supervisor *supervisor, struct channel_message *message)
{
	struct crew *coming = &supervisor->coming;

	switch (coming->ready ? 0 : message->type) {
	case CHANNEL_REPORT:
		crew_report(coming, message->text);
		return 0;
	case CHANNEL_READY:
		/* It is kept, and not looked into. */
		if (sealed_length(message->descriptor, CHANNEL_SNAPSHOT_MAX) < 0)
			return -EPROTO;
		coming->snapshot = message->descriptor;
		message->descriptor = -1;
		coming->ready = true;
		crew_watch(coming, (pid_t)message->index);
		snprintf(coming->summary, sizeof(coming->summary), "%.255s", message->text);
		take_over(supervisor);
		return 0;
	}
	return -EPROTO;
}

/* All that is there, of a worker that says much not for ever. */
static void hear(struct supervisor *supervisor, struct crew *crew,
	int (*take)(struct supervisor *supervisor, struct channel_message *message))
{
	int channel = crew->channel;

	for (int i = 0; i < 256 && crew->channel == channel && channel >= 0; i++) {
		struct channel_message message = {.descriptor = -1};
		int got = channel_receive(channel, &message);
		if (got == -EAGAIN)
			return;
		bool proper = got == 1 &&
			      (message.descriptor < 0 || message.type == CHANNEL_READY) &&
			      !take(supervisor, &message);
		if (message.descriptor >= 0)
			close(message.descriptor);
		if (message.object > 0)
			close(message.object);
		/* It is gone, or says what no worker says. */
		if (!proper) {
			crew_kill(crew);
			return;
		}
	}
}

/* ---- clients ---------------------------------------------------------------------------------- */

static bool accepts(const struct supervisor *supervisor)
{
	return supervisor->sockets.listening && !supervisor->stopping && !supervisor->pause &&
	       !supervisor->crowded && !clients_full(supervisor->clients);
}

/* Those who are connected go on, the others wait in the backlog. */
static void record_crowd(struct supervisor *supervisor, int error)
{
	struct audit_line *line = &supervisor->line;
	int64_t now = clock_ms();

	if (supervisor->told && now - supervisor->told < ACCEPT_TELL)
		return;
	supervisor->told = now;
	audit_begin(line, supervisor->log, "accept");
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", "no room for another connection");
	audit_number(line, "connections", (int64_t)clients_count(supervisor->clients));
	audit_errno(line, -error);
	audit_end(line);
}

static void accept_clients(struct supervisor *supervisor, const struct listener *listener)
{
	for (int i = 0; i < ACCEPT_BURST && accepts(supervisor); i++) {
		int socket = accept4(listener->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int error = socket < 0 ? -errno : 0, on = 1;
		if (!error) {
			/* It has it from its listener, unless it was queued on an inherited one before that got
			 * it. What is sent before accept(2) names its sender in any case. */
			setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
			error = clients_add(supervisor->clients, socket, listener->address);
		}
		if (error == -EAGAIN)
			break;
		if (error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM) {
			record_crowd(supervisor, error);
			supervisor->pause = clock_ms() + ACCEPT_PAUSE;
		}
		/* Else that one is gone; the next may not be. */
	}
	/* It accepts again when one of them goes. */
	if (clients_full(supervisor->clients))
		record_crowd(supervisor, -EMFILE);
	give(supervisor);
}

static void mend(struct supervisor *supervisor)
{
	if (!supervisor->stopping && sockets_mend(&supervisor->sockets))
		begin_stop(supervisor, 1);
}

/* ---- the loop --------------------------------------------------------------------------------- */

static void hear_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		/* Their last words. */
		hear(supervisor, &supervisor->serving, hear_serving);
		hear(supervisor, &supervisor->coming, hear_coming);
		reap(supervisor);
	} else if (info.ssi_signo == SIGUSR1) {
		reopen_log(supervisor);
	} else if (info.ssi_signo == SIGUSR2) {
		begin_trial(supervisor);
	} else if (info.ssi_signo == SIGHUP) {
		reloads_signal(&supervisor->reloads);
		start_reload(supervisor);
	} else {
		begin_stop(supervisor, 0);
	}
}

static int64_t sooner(int64_t one, int64_t other)
{
	if (!one)
		return other;
	return other && other < one ? other : one;
}

/* Returns in how many ms to come back, -1 for never. */
static int keep_time(struct supervisor *supervisor)
{
	int64_t now = clock_ms();

	if (supervisor->start && supervisor->start <= now)
		start_crew(supervisor);
	if (supervisor->pause && supervisor->pause <= now) {
		supervisor->pause = 0;
		give(supervisor);
	}
	if (supervisor->kill && supervisor->kill <= now) {
		supervisor->kill = 0;
		lose_serving(supervisor, "the worker does not end and is replaced");
		if (supervisor->stopping) {
			crew_kill(&supervisor->coming);
			crew_clear(&supervisor->coming);
		}
	}
	bool loads = supervisor->coming.worker && !supervisor->coming.ready && supervisor->served;
	if (loads && supervisor->load_end <= now) {
		lose_coming(supervisor);
		loads = false;
	}
	if (supervisor->trial_end && supervisor->trial_end <= now) {
		supervisor->trial_end = 0;
		kill(supervisor->trial, SIGKILL);
	}
	int64_t due = sooner(sooner(supervisor->start, supervisor->pause),
		sooner(supervisor->kill, supervisor->trial_end));
	if (loads)
		due = sooner(due, supervisor->load_end);
	if (!due)
		return -1;
	now = clock_ms();
	return due > now ? (int)(due - now) : 0;
}

/* Likewise, for what the daemon is to those who started it. */
static int keep_alive(struct supervisor *supervisor)
{
	struct crew *serving = &supervisor->serving;
	bool serves = serving->ready && !supervisor->leaving && !supervisor->stopping;
	int wait;
	int error = vitals_turn(&supervisor->vitals, serves ? serving->channel : -1, &wait);

	if (error)
		lose_serving(supervisor, "the worker does not answer and is replaced");
	return error ? 0 : wait;
}

/* One round of events. */
static void turn(struct supervisor *supervisor)
{
	int alive = keep_alive(supervisor), wait = keep_time(supervisor);
	struct listener *listeners = supervisor->sockets.listeners;
	unsigned int count = supervisor->sockets.count;
	struct pollfd sources[4 + OPTIONS_ADDRESSES_MAX] = {
		{.fd = supervisor->signals, .events = POLLIN},
		{.fd = supervisor->serving.channel,
			.events =
				POLLIN |
				(supervisor->crowded || supervisor->serving.untold ? POLLOUT : 0)},
		{.fd = supervisor->coming.channel,
			.events = POLLIN | (supervisor->coming.untold ? POLLOUT : 0)},
		{.fd = supervisor->serving.sentinel, .events = POLLIN},
	};

	for (unsigned int i = 0; i < count; i++)
		sources[4 + i] = (struct pollfd){
			.fd = accepts(supervisor) ? listeners[i].socket : -1,
			.events = POLLIN | POLLRDHUP,
		};
	if (alive >= 0 && (wait < 0 || alive < wait))
		wait = alive;
	if (poll(sources, 4 + count, wait) < 0)
		return;
	if (sources[1].revents & ~POLLOUT)
		hear(supervisor, &supervisor->serving, hear_serving);
	if ((sources[1].revents & POLLOUT) && supervisor->serving.untold)
		tell_log(supervisor, &supervisor->serving);
	if (sources[1].revents & POLLOUT)
		give(supervisor);
	if ((sources[2].revents & POLLOUT) && supervisor->coming.untold)
		tell_log(supervisor, &supervisor->coming);
	if (sources[2].revents & ~POLLOUT)
		hear(supervisor, &supervisor->coming, hear_coming);
	for (unsigned int i = 0; i < count; i++) {
		/* Somebody who has a copy of it, as whoever gave it to us, has shut it down. */
		if (sources[4 + i].revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
			mend(supervisor);
		else if (sources[4 + i].revents)
			accept_clients(supervisor, &listeners[i]);
	}
	if (sources[0].revents)
		hear_signal(supervisor);
	if (sources[3].revents)
		bury(supervisor);
	if (supervisor->moving && !supervisor->leaving && !supervisor->stopping)
		move(supervisor);
}

static bool is_over(const struct supervisor *supervisor)
{
	return supervisor->stopping && !supervisor->serving.worker && !supervisor->coming.worker;
}

/* ---- the life --------------------------------------------------------------------------------- */

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

/* How many clients there can be: each is a descriptor here and one in the worker, which needs others too. */
static uint32_t count_places(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return UINT32_MAX / 2;
	rlim_t most = files.rlim_cur > 2 * DESCRIPTORS_KEPT ? files.rlim_cur - DESCRIPTORS_KEPT
							    : files.rlim_cur / 2;
	return most > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)most;
}

/* Goes on where the program that this process was before has left off. 0 or a negative errno. */
static int take_up(struct supervisor *supervisor)
{
	const struct options *options = supervisor->options;
	const struct resume resume = resumption(supervisor);
	int error = resume_read(options->resume, &resume);

	if (error)
		return error;
	supervisor->sockets.log = supervisor->log;
	if (destination_is_journal(options->log))
		audit_use_journal(supervisor->log);
	record(supervisor, "resume");
	return 0;
}

/* Worker and maker are to be of this program too. */
static void renew(struct supervisor *supervisor)
{
	reloads_signal(&supervisor->reloads);
	/* The signals of those that ended meanwhile wait, as they are blocked; but all is not left to them. */
	reap(supervisor);
	if (supervisor->serving.worker)
		start_reload(supervisor);
	else if (!supervisor->coming.worker)
		start_crew(supervisor);
	give(supervisor);
}

static int prepare(struct supervisor *supervisor, const struct inherited *inherited)
{
	sigset_t signals;
	ssize_t length = readlink("/proc/self/exe", supervisor->program, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	clock_stamp(supervisor->started);
	supervisor->clients = clients_new(count_places());
	if (!supervisor->clients)
		return -errno;
	sockets_init(&supervisor->sockets, supervisor->options, inherited, &supervisor->line,
		supervisor->log);
	vitals_init(&supervisor->vitals, supervisor->options->ready);
	/* Inherited as ignored, it would never tell of the worker's end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	supervisor->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	return supervisor->signals < 0 ? -errno : 0;
}

/* What it executes is confined by this too, and by more of its own. */
static int confine(const struct supervisor *supervisor, bool resumed)
{
	const struct syscalls_confinement confinement = {
		.process = PRIVILEGE_SUPERVISOR,
		.log = supervisor->log,
	};
	unsigned int count;
	int error = confine_capable(PRIVILEGE_SUPERVISOR);

	/* Executed anew it is under its filter still: one more each time would be too many at last. */
	if (!error && resumed)
		return violation_tell(PRIVILEGE_SUPERVISOR, supervisor->log);
	return error ? error : syscalls_confine(&confinement, &count);
}

int supervisor_run(const struct options *options, const struct inherited *inherited, int argc,
	char **argv, int log)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int error = supervisor ? 0 : -ENOMEM, status = 1;
	bool resumed = options->resume >= 0;

	/* Without the option, for those that are executed after this. */
	if (resumed) {
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	}

	if (!error) {
		supervisor->options = options;
		supervisor->how = (struct crew_program){
			.path = supervisor->program,
			.argc = argc,
			.argv = argv,
			.started = supervisor->started,
		};
		supervisor->log = log;
		supervisor->backoff = BACKOFF_FIRST;
		supervisor->snapshot = -1;
		crew_init(&supervisor->serving);
		crew_init(&supervisor->coming);
		error = prepare(supervisor, inherited);
	}
	if (!error)
		error = confine(supervisor, resumed);
	if (!error && resumed) {
		error = take_up(supervisor);
		if (!error)
			renew(supervisor);
	} else if (!error) {
		if (check_hardlinks(options)) {
			free(supervisor);
			return 1;
		}
		record(supervisor, "start");
		supervisor->how.vouched = clients_vouched(supervisor->clients);
		error = crew_start(&supervisor->coming, &supervisor->how, -1);
	}
	if (error) {
		report_failure("starting", error);
	} else {
		while (!is_over(supervisor))
			turn(supervisor);
		sockets_close(&supervisor->sockets);
		record(supervisor, "stop");
		close(supervisor->signals);
		vitals_close(&supervisor->vitals);
		clients_free(supervisor->clients);
		reloads_free(&supervisor->reloads);
		if (supervisor->snapshot >= 0)
			close(supervisor->snapshot);
		status = supervisor->status;
	}
	free(supervisor);
	return status;
}
