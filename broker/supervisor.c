/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include "confine.h"
#include "defaults.h"
#include "landlock.h"
#include "report.h"
#include "supervisor-parts.h"
#include "syscalls.h"
#include "violation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* ms from the end of one thread of a worker to when the others hang. */
#define BURY_TIME 200
/* Descriptors that are kept for other things than clients. */
#define DESCRIPTORS_KEPT 1024

/* ---- the loop --------------------------------------------------------------------------------- */

static void hear_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		/* Their last words. */
		hearing_serving(supervisor);
		hearing_coming(supervisor);
		hearing_reap(supervisor);
	} else if (info.ssi_signo == SIGUSR1) {
		log_reopen(supervisor);
	} else if (info.ssi_signo == SIGUSR2) {
		renewal_try(supervisor);
	} else if (info.ssi_signo == SIGHUP) {
		reloads_signal(&supervisor->reloads);
		succession_reload(supervisor);
	} else {
		succession_stop(supervisor, 0);
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
		succession_start(supervisor);
	if (supervisor->pause && supervisor->pause <= now) {
		supervisor->pause = 0;
		succession_give(supervisor);
	}
	if (supervisor->log_again && supervisor->log_again <= now) {
		supervisor->log_again = 0;
		log_tell(supervisor, &supervisor->serving);
	}
	if (supervisor->kill && supervisor->kill <= now) {
		supervisor->kill = 0;
		succession_lose_serving(supervisor, "the worker does not end and is replaced");
		if (supervisor->stopping) {
			crew_kill(&supervisor->coming);
			crew_clear(&supervisor->coming);
		}
	}
	if (supervisor->burial && supervisor->burial <= now)
		hearing_bury(supervisor);
	bool loads = supervisor->coming.worker && !supervisor->coming.ready && supervisor->served;
	if (loads && supervisor->load_end <= now) {
		succession_lose_coming(supervisor);
		loads = false;
	}
	if (supervisor->trial_end && supervisor->trial_end <= now) {
		supervisor->trial_end = 0;
		kill(supervisor->trial, SIGKILL);
	}
	int64_t accepting = accepting_turn(supervisor, now);
	int64_t due = sooner(sooner(supervisor->start, supervisor->pause),
		sooner(supervisor->kill, supervisor->trial_end));
	due = sooner(due, sooner(supervisor->log_again, supervisor->burial));
	due = sooner(due, accepting);
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
		succession_lose_serving(supervisor, "the worker does not answer and is replaced");
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
		{.fd = supervisor->burial ? -1 : supervisor->serving.sentinel, .events = POLLIN},
	};

	for (unsigned int i = 0; i < count; i++)
		sources[4 + i] = (struct pollfd){
			.fd = accepting_is_open(supervisor) ? listeners[i].socket : -1,
			.events = POLLIN | POLLRDHUP,
		};
	if (alive >= 0 && (wait < 0 || alive < wait))
		wait = alive;
	if (poll(sources, 4 + count, wait) < 0)
		return;
	if (sources[1].revents & ~POLLOUT)
		hearing_serving(supervisor);
	if ((sources[1].revents & POLLOUT) && supervisor->serving.untold)
		log_tell(supervisor, &supervisor->serving);
	if (sources[1].revents & POLLOUT)
		succession_give(supervisor);
	if ((sources[2].revents & POLLOUT) && supervisor->coming.untold)
		log_tell(supervisor, &supervisor->coming);
	if (sources[2].revents & ~POLLOUT)
		hearing_coming(supervisor);
	for (unsigned int i = 0; i < count; i++) {
		/* Somebody who has a copy of it, as whoever gave it to us, has shut it down. */
		if (sources[4 + i].revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
			accepting_mend(supervisor);
		else if (sources[4 + i].revents)
			accepting_clients(supervisor, &listeners[i]);
	}
	/* A thread of the worker's has ended. The others end with it, and it is reaped, perhaps here and now. */
	if (sources[3].revents)
		supervisor->burial = clock_ms() + BURY_TIME;
	if (sources[0].revents)
		hear_signal(supervisor);
	if (supervisor->moving && !supervisor->leaving && !supervisor->stopping)
		renewal_execute(supervisor);
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

/* Worker and maker are to be of this program too. */
static void renew(struct supervisor *supervisor)
{
	reloads_signal(&supervisor->reloads);
	/* The signals of those that ended meanwhile wait, as they are blocked; but all is not left to them. */
	hearing_reap(supervisor);
	if (supervisor->serving.worker)
		succession_reload(supervisor);
	else if (!supervisor->coming.worker)
		succession_start(supervisor);
	succession_give(supervisor);
}

static int prepare(struct supervisor *supervisor, const struct inherited *inherited)
{
	sigset_t signals;
	ssize_t length = readlink("/proc/self/exe", supervisor->program, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	clock_stamp(supervisor->started);
	supervisor->clients = clients_new(count_places());
	supervisor->pace = pace_new(supervisor->options->connects, DEFAULT_WAITING);
	if (!supervisor->clients || !supervisor->pace)
		return -ENOMEM;
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
	bool resumed = options->resume >= 0;

	if (!resumed && (check_hardlinks(options) || (options->landlock && landlock_check())))
		return 1;
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int error = supervisor ? 0 : -ENOMEM, status = 1;
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
		error = renewal_take_up(supervisor);
		if (!error)
			renew(supervisor);
	} else if (!error) {
		log_event(supervisor, "start");
		supervisor->how.vouched = clients_vouched(supervisor->clients);
		error = crew_start(&supervisor->coming, &supervisor->how, -1);
	}
	if (error) {
		report_failure("starting", error);
	} else {
		while (!is_over(supervisor))
			turn(supervisor);
		sockets_close(&supervisor->sockets);
		log_event(supervisor, "stop");
		close(supervisor->signals);
		vitals_close(&supervisor->vitals);
		clients_free(supervisor->clients);
		pace_free(supervisor->pace);
		reloads_free(&supervisor->reloads);
		if (supervisor->snapshot >= 0)
			close(supervisor->snapshot);
		status = supervisor->status;
	}
	free(supervisor);
	return status;
}
