/* SPDX-License-Identifier: MIT */
#include "operations.h"

#include "connect.h"
#include "inotify.h"
#include "open.h"
#include "tree.h"

#include <errno.h>
#include <stdarg.h>
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
	return operations;
}

void operations_free(struct operations *operations)
{
	if (!operations)
		return;
	policy_scratch_free(operations->resolver.scratch);
	free(operations);
}

void operations_client(struct operations *operations, int client, int64_t deadline)
{
	operations->resolver.client = client;
	operations->resolver.deadline = deadline;
}

void operations_patience(
	struct operations *operations, enum patience patience, const _Atomic bool *cancelled)
{
	operations->resolver.patience = patience;
	operations->resolver.cancelled = cancelled;
}

/* ---- the record -------------------------------------------------------------------------------
 */

static void record_begin(
	struct operations *operations, const struct peer *peer, const char *verdict)
{
	struct audit_line *line = &operations->line;

	audit_begin(line, operations->service->log, "request");
	audit_string(line, "verdict", verdict);
	if (policy_caller_subjects(peer->caller))
		audit_string(line, "subject", policy_caller_subject(peer->caller, 0));
	audit_number(line, "uid", peer->uid);
	audit_number(line, "gid", peer->gid);
	audit_number(line, "pid", peer->pid);
	audit_string(line, "via", peer->via);
}

static const char *reason_text(const struct policy_decision *decision)
{
	switch (decision->reason) {
	case POLICY_ALLOWED:
		return NULL;
	case POLICY_NO_SUBJECT:
		return "no subject of the policy is this caller";
	case POLICY_NO_RULE:
		return "no rule allows it";
	case POLICY_DENY_RULE:
		return "a rule denies it";
	case POLICY_OWNERS_DIFFER:
		return "the rules that allow it disagree about the owner";
	case POLICY_TOO_COMPLEX:
		return "too many wildcards at once";
	}
	return NULL;
}

static void record_outcome(struct operations *operations, const struct peer *peer,
	const struct request *request, const struct outcome *outcome, int error)
{
	struct audit_line *line = &operations->line;
	const struct policy_decision *decision = outcome->rights ? &outcome->decision : NULL;
	const char *reason = outcome->reason;
	char rights[POLICY_RIGHTS_BUFFER];

	record_begin(operations, peer, outcome->verdict == VERDICT_DENY ? "deny" : "error");
	if (decision) {
		policy_rights_print(outcome->rights, rights, sizeof(rights));
		audit_string(line, "right", rights);
	}
	audit_bytes(line, "path", request->path, request->path_length);
	if (outcome->opened[0])
		audit_string(line, "opened", outcome->opened);
	if (decision && decision->rule) {
		char place[4096];
		snprintf(place, sizeof(place), "%s:%u", decision->rule->file, decision->rule->line);
		audit_string(line, "rule", place);
	}
	if (!reason && decision)
		reason = reason_text(decision);
	audit_string(line, "reason", reason);
	audit_errno(line, error);
	audit_end(line);
}

void operations_malformed(
	struct operations *operations, const struct peer *peer, const char *reason, int error)
{
	record_begin(operations, peer, "error");
	audit_string(&operations->line, "reason", reason);
	audit_errno(&operations->line, error);
	audit_end(&operations->line);
}

/* Records what was refused before the policy was asked. */
static void record_refusal(struct operations *operations, const struct peer *peer,
	const struct request *request, const char *reason, int error)
{
	operations->service->counters->denials++;
	record_begin(operations, peer, "deny");
	audit_bytes(&operations->line, "path", request->path, request->path_length);
	audit_string(&operations->line, "reason", reason);
	audit_errno(&operations->line, error);
	audit_end(&operations->line);
}

/* ---- the operations ---------------------------------------------------------------------------
 */

/* Each returns 0, or a negative errno and then nothing else in `reply`. */

/* A file that is not there is the caller's business; a denial, and a request that no correct program makes,
 * are the administrator's. */
static void record_failure(struct operations *operations, const struct peer *peer,
	const struct request *request, struct outcome *outcome, int error)
{
	if (outcome->verdict == VERDICT_DENY)
		operations->service->counters->denials++;
	else if (error == -EACCES && !outcome->reason)
		outcome->reason =
			outcome->opened[0]
				? "what the link leads to is not there, or not served"
				: "the file system refuses it: a device, or not for the broker";
	if (outcome->verdict == VERDICT_DENY || outcome->reason)
		record_outcome(operations, peer, request, outcome, -error);
}

/* It is done again from its start, with more patience. */
static int put_off(struct reply *reply, const struct outcome *outcome)
{
	reply->deferred = true;
	reply->directory = outcome->rights ? outcome->decision.directory : 0;
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

static int run_status(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply)
{
	const struct service *service = operations->service;
	struct policy_summary summary;

	if (peer->uid != 0 && peer->uid != service->daemon_uid) {
		record_refusal(operations, peer, request,
			"status is for root and the daemon's user", EACCES);
		return -EACCES;
	}
	if (request->path_length || request->flags || request->mode)
		return -EINVAL;
	policy_summarize(operations->resolver.policy, &summary);
	int length = snprintf(operations->data, sizeof(operations->data),
		"version %s\n"
		"policy %s\n"
		"pid %d\n"
		"started %s\n"
		"loaded %s\n"
		"subjects %zu\n"
		"rules %zu\n"
		"connections %zu\n"
		"requests %llu\n"
		"denials %llu\n",
		FDBROKER_VERSION, service->policy_path, (int)getppid(), service->started,
		service->loaded, summary.subjects, summary.rules, service->counters->connections,
		(unsigned long long)service->counters->requests,
		(unsigned long long)service->counters->denials);
	reply->data = operations->data;
	reply->data_length = (size_t)length;
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
	{FDBROKER_WATCH, run_watch},
	{FDBROKER_CONNECT, run_connect},
	{FDBROKER_BIND, run_bind},
};

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	int error = -EOPNOTSUPP;

	*reply = (struct reply){.descriptor = -1};
	if (stranger) {
		operations->service->counters->denials++;
		operations_malformed(
			operations, peer, "the sender is not who connected (see delegate)", EACCES);
		reply->error = EACCES;
		operations->service->counters->requests++;
		return;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].operation == request->operation)
			error = table[i].run(operations, peer, request, reply);
	resolve_end(&operations->resolver);
	reply->error = (uint32_t)-error;
	if (!reply->deferred)
		operations->service->counters->requests++;
}
