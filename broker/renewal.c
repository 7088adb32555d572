/* SPDX-License-Identifier: MIT */
#include "supervisor-parts.h"

#include "destination.h"
#include "report.h"
#include "resume.h"

/* ms that a program has to say whether it could go on in the place of this one. */
#define TRIAL_TIME 5000

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

void renewal_try(struct supervisor *supervisor)
{
	const struct resume resume = resumption(supervisor);

	if (supervisor->stopping || supervisor->trial || supervisor->moving)
		return;
	pid_t pid = resume_try(&resume, &supervisor->how);
	if (pid < 0) {
		report_failure("executing the program anew", pid);
		log_error(supervisor, "resume", "it cannot be tried: the daemon goes on as it is");
		return;
	}
	supervisor->trial = pid;
	supervisor->trial_end = clock_ms() + TRIAL_TIME;
}

void renewal_tried(struct supervisor *supervisor, int status)
{
	const char *refused = resume_refused(status);

	supervisor->trial = 0;
	supervisor->trial_end = 0;
	if (refused)
		log_error(supervisor, "resume", refused);
	else
		supervisor->moving = true;
}

/* What is being loaded is loaded again afterwards. Returns only where it fails. */
void renewal_execute(struct supervisor *supervisor)
{
	const struct resume resume = resumption(supervisor);

	bool loads = supervisor->coming.worker != 0;

	supervisor->moving = false;
	crew_kill(&supervisor->coming);
	crew_clear(&supervisor->coming);
	report_failure("executing the program anew", resume_execute(&resume, &supervisor->how));
	log_error(supervisor, "resume",
		"the program cannot be executed: the daemon goes on as it is");
	if (loads && supervisor->serving.worker) {
		reloads_signal(&supervisor->reloads);
		succession_reload(supervisor);
	} else if (loads) {
		supervisor->start = clock_ms();
	}
}

int renewal_take_up(struct supervisor *supervisor)
{
	const struct options *options = supervisor->options;
	const struct resume resume = resumption(supervisor);
	int error = resume_read(options->resume, &resume);

	if (error)
		return error;
	supervisor->sockets.log = supervisor->log;
	if (destination_is_journal(options->log))
		audit_use_journal(supervisor->log);
	log_event(supervisor, "resume");
	return 0;
}
