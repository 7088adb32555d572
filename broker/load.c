/* SPDX-License-Identifier: MIT */
#include "load.h"

#include "audit.h"
#include "channel.h"
#include "confine.h"
#include "connect.h"
#include "diagnostic.h"
#include "landlock.h"
#include "questions.h"
#include "record.h"
#include "report.h"
#include "settle.h"
#include "syscalls.h"
#include "system.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What loading works with. */
struct load {
	const struct options *options;
	struct audit_line *line;
	int log, channel;
	struct questions *questions;
	struct loaded *loaded;
};

/* For whoever has asked for a reload. Without memory for it he is told less. */
static void tell_supervisor(struct load *load, const struct policy_diagnostic *diagnostic)
{
	struct channel_message message = {.type = CHANNEL_REPORT, .descriptor = -1};
	FILE *file = fmemopen(message.text, sizeof(message.text), "w");

	if (!file)
		return;
	policy_diagnostic_print(file, diagnostic);
	fclose(file);
	message.text[strcspn(message.text, "\n")] = '\0';
	channel_send(load->channel, &message);
}

/* For whoever starts the daemon by hand, and for whoever reads the record afterwards. */
static void report_diagnostic(struct load *load, const struct policy_diagnostic *diagnostic)
{
	char place[CHANNEL_TEXT_MAX];

	policy_diagnostic_print(stderr, diagnostic);
	tell_supervisor(load, diagnostic);
	snprintf(place, sizeof(place), "%s:%u:%u", diagnostic->file, diagnostic->line,
		diagnostic->column);
	audit_begin(load->line, load->log, "policy");
	audit_string(
		load->line, "verdict", diagnostic->severity == POLICY_ERROR ? "error" : "warning");
	audit_string(load->line, "rule", diagnostic->line ? place : diagnostic->file);
	audit_string(load->line, "reason", diagnostic->message);
	audit_end(load->line);
}

/* Where the policy is read from: `file`, if that is there and of a form that is known here; else the files. */
static struct snapshot *open_snapshot(struct load *load, int file)
{
	struct snapshot *snapshot = file < 0 ? NULL : snapshot_replay(file);

	if (file < 0)
		return snapshot_record();
	if (snapshot)
		return snapshot;
	int error = errno;
	close(file);
	if (error != EPROTONOSUPPORT) {
		errno = error;
		return NULL;
	}
	audit_begin(load->line, load->log, "policy");
	audit_string(load->line, "verdict", "warning");
	audit_string(load->line, "rule", load->options->policy);
	audit_string(load->line, "reason",
		"another version of the daemon has kept the policy that served, in a form that this one does "
		"not know: the file is read as it is now");
	audit_end(load->line);
	return snapshot_record();
}

static int load_policy(struct load *load)
{
	struct policy_diagnostics *diagnostics = policy_diagnostics_new();
	struct policy_environment environment;
	int error;

	if (!diagnostics)
		return report_failure("loading the policy", -ENOMEM);
	policy_system_environment(&environment);
	snapshot_wrap(load->loaded->snapshot, &environment);
	error = policy_load(
		load->options->policy, &environment, diagnostics, &load->loaded->policy);
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++)
		report_diagnostic(load, policy_diagnostics_get(diagnostics, i));
	policy_diagnostics_free(diagnostics);
	/* An error in it has just been printed, line by line. */
	if (error == -EINVAL)
		return 1;
	return error ? report_failure("loading the policy", error) : 0;
}

/* Tells the supervisor which programs the policy names, if telling them apart is possible here. */
static int name_exes(struct load *load)
{
	size_t count;
	const char *const *exes = policy_exes(load->loaded->policy, &count);
	int error;

	if (!count && !policy_wants_unit(load->loaded->policy))
		return 0;
	error = settle_possible();
	if (error == -ENOPROTOOPT)
		fprintf(stderr, "fdbrokerd: `exe` and `unit` in a policy take Linux 6.5\n");
	if (!error)
		error = settle_name_exes(load->questions, exes, count);
	return error ? report_failure("telling callers apart by their program or unit", error) : 0;
}

static int name_sockets(struct load *load)
{
	int error = connect_name_rules(load->loaded->policy, load->questions);

	return error ? report_failure("naming the sockets", error) : 0;
}

static void record_missing_view(
	struct load *load, const char *path, const char *file, unsigned int line, int error)
{
	char place[CHANNEL_TEXT_MAX];

	snprintf(place, sizeof(place), "%s:%u", file, line);
	audit_begin(load->line, load->log, "view");
	audit_string(load->line, "verdict", "error");
	audit_string(load->line, "path", path);
	audit_string(load->line, "rule", place);
	audit_string(load->line, "reason", record_view_reason(error));
	audit_errno(load->line, -error);
	audit_end(load->line);
}

/* A view could not be made (views_load). Not 0 where nothing can be served without it. */
static int view_failed(
	void *context, const char *path, const char *file, unsigned int line, int error)
{
	switch (-error) {
	case EPERM:
	case ENOSYS:
	case ENOTRECOVERABLE:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOSPC:
		fprintf(stderr, "fdbrokerd: cannot make a view of %s: %s (%s)%s\n", path,
			strerror(-error), strerrorname_np(-error),
			error == -EPERM	   ? ": start fdbrokerd as root (CAP_SYS_ADMIN)"
			: error == -ENOSYS ? ": Linux 5.12 is the oldest that can"
			: error == -ENOSPC ? ": raise fs.inotify.max_user_watches"
					   : "");
		return -1;
	}
	/* Not there, or not a directory: it is made when it comes, and others can be served. */
	record_missing_view(context, path, file, line, error);
	return 0;
}

static void record_plain(struct load *load)
{
	static const char text[] =
		"no views here (no privilege, or a kernel before 5.12): a descriptor may be reopened "
		"with whatever the file's own mode allows, and no trees are served";

	fprintf(stderr, "fdbrokerd: warning: %s; --require views makes this an error\n", text);
	audit_begin(load->line, load->log, "view");
	audit_string(load->line, "verdict", "warning");
	audit_string(load->line, "reason", text);
	audit_end(load->line);
}

static void hear_maker(void *context, const struct channel_message *message)
{
	if (message->type == CHANNEL_STALE)
		views_stale(context, message->index);
	else if (message->type == CHANNEL_VIEW && message->error != ETIMEDOUT)
		views_answer(context, message->index);
}

static int make_views(struct load *load)
{
	struct channel_message message = {
		.type = CHANNEL_LOADED,
		.attributes = privilege_needs(load->loaded->policy),
		.descriptor = -1,
	};
	int inotify = questions_first(load->questions);
	int error;

	if (inotify < 0)
		return report_failure("making the views", inotify);
	load->loaded->views = views_new(load->loaded->policy, load->questions, inotify);
	if (!load->loaded->views)
		return report_failure("making the views", -ENOMEM);
	questions_told(load->questions, hear_maker, load->loaded->views);
	error = views_load(load->loaded->views, view_failed, load);
	if (error == -ECANCELED)
		return 1; /* said already */
	if (!error)
		error = questions_tell(load->questions, &message);
	if (error)
		return report_failure("making the views", error);
	if (views_plain(load->loaded->views))
		record_plain(load);
	return 0;
}

/* With --landlock, and in the record: the kernel's version of it, and what it denies. 0 or a negative errno. */
static int limit_accesses(struct load *load, uint32_t rights)
{
	char text[ACCESSES_TEXT];
	struct accesses denied;

	/* Sanitizers, and the coverage of tests, open files of their own. */
	if (!load->options->landlock || !SYSCALLS_CONFINED)
		return 0;
	int version = landlock_version();
	if (version < 0)
		return version;
	accesses_deny(rights, version, &denied);
	int error = landlock_restrict(&denied);
	if (error)
		return error;
	accesses_print(&denied, text, sizeof(text));
	audit_number(load->line, "landlock", version);
	audit_string(load->line, "denied", text);
	return 0;
}

static int limit_calls(struct load *load, uint32_t rights, bool same_user)
{
	const struct syscalls_confinement confinement = {
		.process = PRIVILEGE_WORKER,
		.rights = rights,
		.same_user = same_user,
		.log = load->log,
	};
	char capabilities[CONFINE_TEXT];
	unsigned int count;

	confine_describe(capabilities, sizeof(capabilities));
	/*
	 * Put together before: the first line of a process has the C library look for the time zone, which is a file.
	 */
	audit_begin(load->line, load->log, "confined");
	if (!SYSCALLS_CONFINED) {
		audit_string(load->line, "verdict", "warning");
		audit_string(load->line, "reason",
			"built with sanitizers: no process is kept from any system call");
	}
	audit_string(load->line, "process", "worker");
	audit_number(load->line, "pid", getpid());
	audit_number(load->line, "uid", geteuid());
	audit_string(load->line, "capabilities", capabilities);
	int error = limit_accesses(load, rights);
	if (error)
		return report_failure("restricting itself by Landlock", error);
	error = syscalls_confine(&confinement, &count);
	if (error)
		return report_failure("giving up system calls", error);
	audit_number(load->line, "calls", count);
	audit_end(load->line);
	return 0;
}

/* After this the process owns nothing but descriptors. */
static int confine(struct load *load)
{
	const struct options *options = load->options;
	const uid_t before = geteuid();
	struct policy_summary summary;
	int error = options->switch_user ? confine_groups() : 0;

	if (error)
		return report_failure("giving up groups", error);
	error = confine_root();
	/* Without the privilege to make views there is none to leave the file system either. */
	if (error && !(error == -EPERM && views_plain(load->loaded->views)))
		return report_failure("entering an empty root", error);
	policy_summarize(load->loaded->policy, &summary);
	error = options->switch_user ? confine_user(options->uid, options->gid, options->alone,
					       confine_capabilities(summary.rights))
				     : confine_same_user(confine_capabilities(summary.rights));
	if (error == -EINVAL)
		fprintf(stderr, "fdbrokerd: uid %u is not mapped in this user namespace\n",
			(unsigned int)options->uid);
	if (error)
		return report_failure("giving up privileges", error);
	/* Changing the user has cleared it (prctl(2)). A supervisor that died meanwhile has closed
	 * the channel, which ends the loop. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	umask(0);
	return limit_calls(load, summary.rights, geteuid() == before);
}

int load_all(const struct options *options, struct audit_line *line, int log, int channel,
	struct questions *questions, int snapshot, struct loaded *loaded)
{
	struct load load = {
		.options = options,
		.line = line,
		.log = log,
		.channel = channel,
		.questions = questions,
		.loaded = loaded,
	};

	loaded->snapshot = open_snapshot(&load, snapshot);
	if (!loaded->snapshot)
		return report_failure("loading the policy", -errno);
	return load_policy(&load) || name_exes(&load) || name_sockets(&load) || make_views(&load) ||
	       confine(&load);
}

void load_release(struct loaded *loaded)
{
	views_free(loaded->views);
	policy_free(loaded->policy);
	snapshot_free(loaded->snapshot);
}
