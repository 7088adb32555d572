/* SPDX-License-Identifier: MIT */
#include "supervisor-parts.h"

#include "channel.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms that a worker has to end when it is told to; then it is killed, and not waited for. */
#define STOP_TIME 500
/* ms that a worker may take to load, while another one serves and while none does. */
#define LOAD_TIME	60000
#define LOAD_TIME_ALONE 3000

void succession_stop(struct supervisor *supervisor, int status)
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

void succession_start(struct supervisor *supervisor)
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

void succession_reload(struct supervisor *supervisor)
{
	if (!supervisor->stopping && supervisor->served && !supervisor->coming.worker &&
		!supervisor->start && reloads_wanted(&supervisor->reloads)) {
		vitals_reloading(&supervisor->vitals);
		succession_start(supervisor);
		if (!supervisor->coming.worker)
			vitals_goes_on(&supervisor->vitals, supervisor->serving.summary);
	}
}

void succession_give(struct supervisor *supervisor)
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
	log_ready(supervisor);
	vitals_ready(&supervisor->vitals, supervisor->serving.summary);
	succession_give(supervisor);
	succession_reload(supervisor);
}

void succession_take_over(struct supervisor *supervisor)
{
	struct channel_message message = {.type = CHANNEL_HANDOVER, .descriptor = -1};
	struct crew *serving = &supervisor->serving;

	if (!supervisor->sockets.listening && sockets_open(&supervisor->sockets)) {
		succession_stop(supervisor, 1);
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

void succession_serving_ended(
	struct supervisor *supervisor, pid_t pid, int status, const char *reason)
{
	crew_clear(&supervisor->serving);
	supervisor->burial = 0;
	if (supervisor->stopping)
		return;
	if (supervisor->leaving && supervisor->coming.ready) {
		promote(supervisor);
		return;
	}
	supervisor->leaving = false;
	supervisor->kill = 0;
	vitals_interrupted(&supervisor->vitals);
	log_death(supervisor, "worker", pid, status, reason);
	/* One that loads takes over as soon as it is ready; but if it hangs, in a file of the policy perhaps, the policy
	 * that served is to hand. */
	if (supervisor->coming.worker && supervisor->load_end > clock_ms() + LOAD_TIME_ALONE)
		supervisor->load_end = clock_ms() + LOAD_TIME_ALONE;
	if (!supervisor->coming.worker && !supervisor->start)
		succession_start(supervisor);
}

/* It does not end when it is told to, or does not answer: it may hang in the kernel, and then survives this for as long
 * as it pleases. */
void succession_lose_serving(struct supervisor *supervisor, const char *reason)
{
	pid_t pid = supervisor->serving.worker;

	crew_kill(&supervisor->serving);
	if (pid)
		succession_serving_ended(supervisor, pid, SIGKILL, reason);
}

void succession_coming_ended(struct supervisor *supervisor, pid_t pid, int status)
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
		succession_stop(supervisor, 1);
	} else if (supervisor->serving.worker && !supervisor->leaving) {
		log_error(supervisor, "reload",
			"the policy was not loaded; the one before it goes on");
		vitals_goes_on(&supervisor->vitals, supervisor->serving.summary);
		succession_give(supervisor);
		succession_reload(supervisor);
	} else if (!supervisor->serving.worker) {
		log_death(supervisor, "worker", pid, status,
			"the worker died before it was ready and is started again later");
		start_later(supervisor);
	}
}

void succession_lose_coming(struct supervisor *supervisor)
{
	pid_t pid = supervisor->coming.worker;

	crew_report(&supervisor->coming, "the new worker took too long to load the policy");
	crew_kill(&supervisor->coming);
	succession_coming_ended(supervisor, pid, SIGKILL);
}
