/* SPDX-License-Identifier: MIT */
#include "operations.h"

#include "clock.h"
#include "open.h"
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the operations ---------------------------------------------------------------------------
 */

/* Each returns 0, or a negative errno and then nothing else in `reply`. */

/* A file that is not there is the caller's business; a denial, and a request that no correct program makes,
 * are the administrator's. */
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
	if (outcome->verdict == VERDICT_DENY || outcome->reason)
		record_request(&operations->record, peer, request, outcome, -error);
}

/* For the operations that hand out a descriptor. */
static int run_opening(struct operations *operations, const struct peer *peer,
	const struct request *request, struct reply *reply,
	int (*open)(const struct resolver *resolver, const struct peer *peer,
		const struct request *request, struct outcome *outcome))
{
	__attribute__((uninitialized)) struct outcome outcome;
	int file = open(&operations->resolver, peer, request, &outcome);

	if (file < 0) {
		record_failure(operations, peer, request, &outcome, file);
		return file;
	}
	record_request(&operations->record, peer, request, &outcome, 0);
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
	if (length < 0) {
		record_failure(operations, peer, request, &outcome, (int)length);
		return (int)length;
	}
	record_request(&operations->record, peer, request, &outcome, 0);
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
	struct policy_summary summary;

	if (peer->uid != 0 && peer->uid != operations->daemon_uid) {
		operations->denied = true;
		record_refusal(&operations->record, peer, request, true,
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
		"age %lld\n"
		"subjects %zu\n"
		"rules %zu\n"
		"connections %zu\n",
		FDBROKER_VERSION, operations->policy_path, (int)getppid(), operations->started,
		operations->loaded, (long long)(clock_ms() - operations->loaded_at) / 1000,
		summary.subjects, summary.rules, operations->connections);
	reply->data = operations->data;
	reply->data_length = (size_t)length + statistics_print(operations->all_statistics,
						      operations->data + length,
						      sizeof(operations->data) - (size_t)length);
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

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	*reply = (struct reply){.descriptor = -1};
	operations->denied = false;
	int error = run(operations, peer, stranger, request, reply);
	reply->error = (uint32_t)-error;
	statistics_request(operations->statistics, request->operation,
		!error		     ? STATISTICS_ALLOW
		: operations->denied ? STATISTICS_DENY
				     : STATISTICS_ERROR,
		clock_ns() - request->began);
}

void operations_malformed(struct operations *operations, const struct peer *peer,
	const struct request *request, const char *reason, int error)
{
	record_refusal(&operations->record, peer, NULL, false, reason, error);
	statistics_request(
		operations->statistics, 0, STATISTICS_ERROR, clock_ns() - request->began);
}
