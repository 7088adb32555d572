/* SPDX-License-Identifier: MIT */
#include "operations.h"

#include "attributes.h"
#include "change.h"
#include "clock.h"
#include "connect.h"
#include "inotify.h"
#include "move.h"
#include "open.h"
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct operations *operations_new(const struct service *service)
{
	struct operations *operations = calloc(1, sizeof(*operations));

	if (!operations)
		return NULL;
	operations->service = service;
	operations->resolver = (struct resolver){
		.policy = service->policy,
		.views = service->views,
		.holds = &operations->holds,
		.denies = policy_has_denies(service->policy),
		.questions = service->questions,
		.client = -1,
		.patience = PATIENCE_NONE,
	};
	if (policy_scratch_new(service->policy, &operations->resolver.scratch)) {
		free(operations);
		return NULL;
	}
	operations->record = (struct record){
		.line = &operations->line,
		.log = service->log,
		.sums = service->sums,
		.grants = service->log_grants,
	};
	statistics_join(service->statistics, &operations->statistics);
	return operations;
}

void operations_free(struct operations *operations)
{
	if (!operations)
		return;
	statistics_leave(operations->service->statistics, &operations->statistics);
	policy_scratch_free(operations->resolver.scratch);
	free(operations);
}

void operations_client(struct operations *operations, int client, uint32_t number, int64_t deadline)
{
	operations->resolver.client = client;
	operations->resolver.number = number;
	operations->resolver.deadline = deadline;
}

void operations_patience(
	struct operations *operations, enum patience patience, const _Atomic bool *cancelled)
{
	operations->resolver.patience = patience;
	operations->resolver.cancelled = cancelled;
}

/* ---- the operations ---------------------------------------------------------------------------
 */

/* Each returns 0, or a negative errno and then nothing else in `reply`. */

/* Whether nobody waits for it any more. What it then comes to is not what the caller was told. */
static bool is_cancelled(const struct operations *operations)
{
	return operations->resolver.cancelled && *operations->resolver.cancelled;
}

/* What an errno says that daemon or machine are out of; NULL where it says something else. */
static const char *shortage(int error)
{
	switch (-error) {
	case EMFILE:
		return "the daemon is out of descriptors (LimitNOFILE=)";
	case ENFILE:
		return "the machine is out of open files (fs.file-max)";
	case ENOMEM:
	case ENOBUFS:
		return "memory is short";
	case ETOOMANYREFS:
		return "too many descriptors are under way to clients that do not take them (LimitNOFILE=)";
	}
	return NULL;
}

/* A file that is not there is the caller's business; a denial, a request that no correct program makes, and what the
 * daemon is out of, are the administrator's. */
static void record_failure(struct operations *operations, const struct peer *peer,
	const struct request *request, struct outcome *outcome, int error)
{
	if (outcome->verdict == VERDICT_DENY)
		operations->denied = true;
	else if (error == -EACCES && !outcome->reason)
		outcome->reason =
			outcome->opened[0]
				? "what the link leads to is not there, or not served"
				: "the file system refuses it: a device, or not for the broker";
	/* Watches are made by the caller, who has bounds of his own. */
	else if (!outcome->reason && !(error == -EMFILE && request->operation == FDBROKER_WATCH))
		outcome->reason = shortage(error);
	/* Of one that is over already the record has said so. */
	if (outcome->verdict == VERDICT_DENY || (outcome->reason && !is_cancelled(operations)))
		record_request(&operations->record, peer, request, outcome, -error);
}

static void record_success(struct operations *operations, const struct peer *peer,
	const struct request *request, const struct outcome *outcome)
{
	if (!is_cancelled(operations))
		record_request(&operations->record, peer, request, outcome, 0);
}

/* It is done again from its start, with more patience. */
static int put_off(struct reply *reply, const struct outcome *outcome)
{
	reply->deferred = true;
	reply->directory = outcome->rights ? outcome->decision.directory : 0;
	reply->timeout = outcome->rights ? outcome->decision.timeout : 0;
	return -EINPROGRESS;
}

/* For the operations that hand out a descriptor. */
static int run_opening(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply,
	int (*open)(const struct resolver *resolver, const struct peer *peer,
		const struct request *request, struct outcome *outcome))
{
	__attribute__((uninitialized)) struct outcome outcome;
	int file = open(&operations->resolver, peer, request, &outcome);

	if (file == -EINPROGRESS)
		return put_off(reply, &outcome);
	if (file < 0) {
		record_failure(operations, peer, request, &outcome, file);
		return file;
	}
	record_success(operations, peer, request, &outcome);
	reply->descriptor = file;
	return 0;
}

static int run_open(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_opening(operations, peer, request, reply, open_file);
}

static int run_tree(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_opening(operations, peer, request, reply, tree_open);
}

/* For those that are done in the caller's name. */
static int run_connect(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	reply->client = true;
	return run_opening(operations, peer, request, reply, connect_socket);
}

static int run_bind(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	reply->client = true;
	return run_opening(operations, peer, request, reply, connect_bind);
}

static int run_watch(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	__attribute__((uninitialized)) struct outcome outcome;
	int32_t watch = -1;
	int instance = inotify_watch(&operations->resolver, peer, request, &watch, &outcome);

	reply->client = true;
	if (instance == -EINPROGRESS)
		return put_off(reply, &outcome);
	if (instance < 0) {
		record_failure(operations, peer, request, &outcome, instance);
		return instance;
	}
	record_success(operations, peer, request, &outcome);
	memcpy(operations->data, &watch, sizeof(watch));
	reply->data = operations->data;
	reply->data_length = sizeof(watch);
	reply->descriptor = instance;
	return 0;
}

/* For those that tell. */
static int run_inspection(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply,
	ssize_t (*inspect)(const struct resolver *resolver, const struct peer *peer,
		const struct request *request, char *data, struct outcome *outcome))
{
	__attribute__((uninitialized)) struct outcome outcome;
	ssize_t length;

	outcome.rights = 0;
	outcome.opened[0] = '\0';
	length = inspect(&operations->resolver, peer, request, operations->data, &outcome);
	if (length == -EINPROGRESS)
		return put_off(reply, &outcome);
	if (length < 0) {
		record_failure(operations, peer, request, &outcome, (int)length);
		return (int)length;
	}
	record_success(operations, peer, request, &outcome);
	reply->data = operations->data;
	reply->data_length = (size_t)length;
	return 0;
}

static int run_stat(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_inspection(operations, peer, request, reply, inspect_stat);
}

static int run_access(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_inspection(operations, peer, request, reply, inspect_access);
}

static int run_readlink(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_inspection(operations, peer, request, reply, inspect_readlink);
}

static int run_list(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	return run_inspection(operations, peer, request, reply, inspect_list);
}

/* For those that change something, and answer nothing but that. */
static int run_change(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	static int (*const changes[])(const struct resolver *resolver, const struct peer *peer,
		const struct request *request, struct outcome *outcome) = {
		[FDBROKER_MKDIR] = change_mkdir,
		[FDBROKER_RMDIR] = change_rmdir,
		[FDBROKER_UNLINK] = change_unlink,
		[FDBROKER_RENAME] = move_rename,
		[FDBROKER_LINK] = move_link,
		[FDBROKER_SYMLINK] = change_symlink,
		[FDBROKER_CHMOD] = attributes_chmod,
		[FDBROKER_UTIMENS] = attributes_utimens,
	};
	__attribute__((uninitialized)) struct outcome outcome;

	outcome.rights = 0;
	outcome.opened[0] = '\0';
	int error = changes[request->operation](&operations->resolver, peer, request, &outcome);
	if (error == -EINPROGRESS)
		return put_off(reply, &outcome);
	if (error)
		record_failure(operations, peer, request, &outcome, error);
	else
		record_success(operations, peer, request, &outcome);
	return error;
}

int operations_administer(
	struct operations *operations, const struct peer *peer, const struct request *request)
{
	if (peer->uid != 0 && peer->uid != operations->service->daemon_uid) {
		operations->denied = true;
		record_refusal(&operations->record, peer, request, true,
			request->operation == FDBROKER_RELOAD
				? "reload is for root and the daemon's user"
				: "status is for root and the daemon's user",
			EACCES);
		return -EACCES;
	}
	return request->path_length || request->flags || request->mode ? -EINVAL : 0;
}

/* They are counted by the same numbers. */
_Static_assert((int)STATISTICS_LIMITS == (int)ACCOUNT_KINDS, "a name for each kind");

/* The name of the subject whose callers together have too much. */
static const char *subject_name(const struct policy_caller *caller, uint32_t number)
{
	for (size_t i = 0; i < policy_caller_subjects(caller); i++) {
		uint32_t subject;
		policy_caller_totals(caller, i, &subject);
		if (subject == number)
			return policy_caller_subject(caller, i);
	}
	return NULL;
}

void operations_refused(struct operations *operations, const struct peer *peer,
	const struct account_refusal *refusal)
{
	static const char *const reasons[ACCOUNT_KINDS] = {
		[ACCOUNT_CONNECTIONS] = "too many connections",
		[ACCOUNT_OPENS] = "too many opens in flight",
		[ACCOUNT_DESCRIPTORS] = "too many descriptors that were not received",
		[ACCOUNT_BYTES] = "too many replies that were not received",
		[ACCOUNT_REQUESTS] = "too many requests a second",
	};
	struct audit_line *line = &operations->line;

	statistics_limit(&operations->statistics, (enum statistics_limit)refusal->kind);
	if (!refusal->first)
		return;
	audit_begin(line, operations->service->log, "limit");
	audit_string(line, "verdict", "error");
	audit_number(line, "uid", refusal->uid);
	if (refusal->total)
		audit_string(line, "subject", subject_name(peer->caller, refusal->subject));
	audit_string(line, "reason", reasons[refusal->kind]);
	audit_string(line, "limit", account_kind_name(refusal->kind));
	audit_number(line, "most", refusal->limit);
	audit_number(line, "value", (int64_t)refusal->value);
	audit_number(line, "refusals", (int64_t)refusal->refusals);
	audit_errno(line, EDQUOT);
	audit_end(line);
}

static int run_status(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	const struct service *service = operations->service;
	struct policy_summary summary;

	int error = operations_administer(operations, peer, request);
	if (error)
		return error;
	policy_summarize(operations->resolver.policy, &summary);
	char *text = operations->data;
	size_t size = sizeof(operations->data);
	size_t used = (size_t)snprintf(text, size,
		"version %s\n"
		"policy %s\n"
		"pid %d\n"
		"started %s\n"
		"loaded %s\n"
		"age %lld\n"
		"subjects %zu\n"
		"rules %zu\n"
		"connections %zu\n",
		FDBROKER_VERSION, service->policy_path, (int)getppid(), service->started,
		service->loaded, (long long)(clock_ms() - service->loaded_at) / 1000,
		summary.subjects, summary.rules, *service->connections);
	used += service->tell_more(service->tell_context, text + used, size - used);
	used += statistics_print(service->statistics, text + used, size - used);
	reply->data = text;
	reply->data_length = used;
	return 0;
}

static const struct {
	uint16_t operation;
	int (*run)(struct operations *operations, const struct peer *peer,
		const struct request *request, struct reply *reply);
} table[] = {
	{FDBROKER_OPEN, run_open},
	{FDBROKER_STATUS, run_status},
	{FDBROKER_STAT, run_stat},
	{FDBROKER_ACCESS, run_access},
	{FDBROKER_READLINK, run_readlink},
	{FDBROKER_LIST, run_list},
	{FDBROKER_TREE, run_tree},
	{FDBROKER_MKDIR, run_change},
	{FDBROKER_RMDIR, run_change},
	{FDBROKER_UNLINK, run_change},
	{FDBROKER_RENAME, run_change},
	{FDBROKER_LINK, run_change},
	{FDBROKER_SYMLINK, run_change},
	{FDBROKER_CHMOD, run_change},
	{FDBROKER_UTIMENS, run_change},
	{FDBROKER_WATCH, run_watch},
	{FDBROKER_CONNECT, run_connect},
	{FDBROKER_BIND, run_bind},
};

/* The errno, negative, or 0. */
static int run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	if (stranger) {
		operations->denied = true;
		record_refusal(&operations->record, peer, request, true,
			"the sender is not who connected (see delegate)", EACCES);
		return -EACCES;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].operation == request->operation)
			return table[i].run(operations, peer, request, reply);
	return -EOPNOTSUPP;
}

static void count(struct operations *operations, unsigned int operation,
	enum statistics_result result, const struct request *request)
{
	statistics_request(
		&operations->statistics, operation, result, (int64_t)(clock_ns() - request->began));
}

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	*reply = (struct reply){.descriptor = -1};
	operations->denied = false;
	int error = run(operations, peer, stranger, request, reply);
	resolve_end(&operations->resolver);
	reply->error = (uint32_t)-error;
	if (!reply->deferred && !is_cancelled(operations))
		count(operations, request->operation,
			!error		     ? STATISTICS_ALLOW
			: operations->denied ? STATISTICS_DENY
					     : STATISTICS_ERROR,
			request);
}

void operations_malformed(struct operations *operations, const struct peer *peer,
	const struct request *request, const char *reason, int error)
{
	record_refusal(&operations->record, peer, NULL, false, reason, error);
	count(operations, 0, STATISTICS_ERROR, request);
}

void operations_late(
	struct operations *operations, const struct peer *peer, const struct request *request)
{
	const char *reason = request->operation == FDBROKER_CONNECT
				     ? "nobody at the address answers (--open-timeout)"
			     : request->operation == FDBROKER_BIND
				     ? "the address could not be bound in time (--open-timeout)"
				     : "the file system does not answer (--open-timeout)";

	record_refusal(&operations->record, peer, request, false, reason, ETIMEDOUT);
}

void operations_timed_out(
	struct operations *operations, const struct peer *peer, const struct request *request)
{
	operations_late(operations, peer, request);
	count(operations, request->operation, STATISTICS_ERROR, request);
}

void operations_dropped(struct operations *operations, const struct peer *peer)
{
	record_refusal(&operations->record, peer, NULL, false,
		"it does not take its replies: the connection is ended", ETIMEDOUT);
}

void operations_short(struct operations *operations, const struct peer *peer,
	const struct request *request, int error)
{
	const char *reason = shortage(error);

	record_refusal(&operations->record, peer, request, false,
		reason ? reason : "the reply cannot be sent", -error);
}
