/* SPDX-License-Identifier: MIT */
#include "supervisor-parts.h"

#include "channel.h"
#include "destination.h"
#include "fdbroker-protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms between two lines that tell that there is no room. */
#define CROWD_TELL 10000

void log_event(struct supervisor *supervisor, const char *event)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "version", FDBROKER_VERSION);
	audit_number(line, "pid", getpid());
	audit_string(line, "policy", supervisor->options->policy);
	audit_end(line);
}

void log_error(struct supervisor *supervisor, const char *event, const char *reason)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", reason);
	audit_end(line);
}

void log_death(
	struct supervisor *supervisor, const char *event, pid_t pid, int status, const char *reason)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, event);
	audit_string(line, "verdict", "error");
	audit_number(line, "pid", pid);
	audit_string(line, "reason", reason);
	if (WIFSIGNALED(status))
		audit_string(line, "signal", sigabbrev_np(WTERMSIG(status)));
	else
		audit_number(line, "status", WEXITSTATUS(status));
	audit_end(line);
}

void log_ready(struct supervisor *supervisor)
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

void log_pace(struct supervisor *supervisor, const struct pace_news *news)
{
	struct audit_line *line = &supervisor->line;

	audit_begin(line, supervisor->log, "limit");
	audit_string(line, "verdict", "error");
	audit_number(line, "uid", news->uid);
	audit_string(line, "reason",
		news->refusals ? "too many connections a second: some were refused"
			       : "too many connections a second: they wait for their turn");
	audit_string(line, "limit", "connects");
	audit_number(line, "most", supervisor->options->connects);
	audit_number(line, "refusals", news->refusals);
	if (news->others)
		audit_number(line, "others", news->others);
	if (news->refusals)
		audit_errno(line, EDQUOT);
	audit_end(line);
}

void log_tell(struct supervisor *supervisor, struct crew *crew)
{
	struct channel_message message = {.type = CHANNEL_LOG, .descriptor = supervisor->log};
	int error = crew->channel < 0 ? 0 : channel_send(crew->channel, &message);

	crew->untold = error == -EAGAIN;
	if (error && error != -EAGAIN)
		crew_kill(crew);
}

void log_reopen(struct supervisor *supervisor)
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
	log_tell(supervisor, &supervisor->serving);
	log_tell(supervisor, &supervisor->coming);
}

/* Those who are connected go on, the others wait in the backlog. */
void log_crowd(struct supervisor *supervisor, int error)
{
	struct audit_line *line = &supervisor->line;
	int64_t now = clock_ms();

	if (supervisor->told && now - supervisor->told < CROWD_TELL)
		return;
	supervisor->told = now;
	audit_begin(line, supervisor->log, "accept");
	audit_string(line, "verdict", "error");
	audit_string(line, "reason", "no room for another connection");
	audit_number(line, "connections", (int64_t)clients_count(supervisor->clients));
	audit_errno(line, -error);
	audit_end(line);
}
