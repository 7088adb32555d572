/* SPDX-License-Identifier: MIT */
#include "record.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a line besides its paths; and what a byte of a path can become (audit.h). */
#define LINE_USUAL   400
#define BYTE_LONGEST 8

static void begin(const struct record *record, const struct peer *peer, const char *verdict)
{
	struct audit_line *line = record->line;

	audit_begin(line, record->log, "request");
	audit_string(line, "verdict", verdict);
	if (policy_caller_subjects(peer->caller))
		audit_string(line, "subject", policy_caller_subject(peer->caller, 0));
	audit_number(line, "uid", peer->uid);
	audit_number(line, "gid", peer->gid);
	audit_number(line, "pid", peer->pid);
	if (peer->comm[0])
		audit_string(line, "comm", peer->comm);
	audit_string(line, "via", peer->via);
}

static void end(const struct record *record, const struct request *request, int error)
{
	if (error)
		audit_errno(record->line, error);
	if (request)
		audit_number(record->line, "us", (int64_t)(clock_ns() - request->began) / 1000);
	audit_end(record->line);
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

static void add_rights(struct audit_line *line, uint32_t rights)
{
	char names[POLICY_RIGHTS_BUFFER];

	if (!rights)
		return;
	policy_rights_print(rights, names, sizeof(names));
	audit_string(line, "right", names);
}

static void add_rule(struct audit_line *line, const struct policy_rule_place *rule)
{
	char place[4096];

	if (!rule)
		return;
	snprintf(place, sizeof(place), "%s:%u", rule->file, rule->line);
	audit_string(line, "rule", place);
}

/* Whether it gets a line of its own. */
static bool admit(const struct record *record, const struct peer *peer, struct sums_kind *kind,
	size_t path_length)
{
	if (policy_caller_subjects(peer->caller))
		kind->subject = policy_caller_subject(peer->caller, 0);
	return sums_admit(
		record->sums, clock_ms(), peer->uid, kind, LINE_USUAL + BYTE_LONGEST * path_length);
}

void record_request(const struct record *record, const struct peer *peer,
	const struct request *request, const struct outcome *outcome, int error)
{
	struct audit_line *line = record->line;
	const struct policy_decision *decision = outcome->rights ? &outcome->decision : NULL;
	struct sums_kind kind = {
		.denied = outcome->verdict == VERDICT_DENY,
		.error = error,
		.rights = outcome->rights,
		.rule = decision ? decision->rule : NULL,
		.reason = outcome->reason ? outcome->reason
			  : decision	  ? reason_text(decision)
					  : NULL,
	};

	if (!error && !record->grants && !policy_caller_logs_grants(peer->caller))
		return;
	if (error &&
		!admit(record, peer, &kind,
			request->path_length + request->extra_length + strlen(outcome->opened)))
		return;
	begin(record, peer, !error ? "allow" : kind.denied ? "deny" : "error");
	add_rights(line, kind.rights);
	audit_bytes(line, "path", request->path, request->path_length);
	if (request->operation == FDBROKER_RENAME || request->operation == FDBROKER_LINK)
		audit_bytes(line, "to", request->extra, request->extra_length);
	if (outcome->opened[0])
		audit_string(line, "opened", outcome->opened);
	add_rule(line, kind.rule);
	audit_string(line, "reason", kind.reason);
	end(record, request, error);
}

void record_refusal(const struct record *record, const struct peer *peer,
	const struct request *request, bool denied, const char *reason, int error)
{
	struct sums_kind kind = {.denied = denied, .error = error, .reason = reason};

	if (!admit(record, peer, &kind, request ? request->path_length : 0))
		return;
	begin(record, peer, denied ? "deny" : "error");
	if (request)
		audit_bytes(record->line, "path", request->path, request->path_length);
	audit_string(record->line, "reason", reason);
	end(record, request, error);
}

const char *record_view_reason(int error)
{
	switch (-error) {
	case ELOOP:
		return "the directory is reached through a symbolic link: write its real path";
	case EINVAL:
		return "a file system in it does not do what the rule asks for (idmap)";
	case ETIMEDOUT:
		return "a file system on its way does not answer: nothing beneath it is served until it does";
	}
	return "the directory cannot be opened: nothing beneath it is served until it can";
}

void record_view(const struct record *record, const char *path, const char *file, unsigned int line,
	int error)
{
	const struct sums_kind kind = {
		.own = true,
		.error = -error,
		.reason = record_view_reason(error),
	};
	char place[4096];

	if (!sums_admit(
		    record->sums, clock_ms(), 0, &kind, LINE_USUAL + BYTE_LONGEST * strlen(path)))
		return;
	snprintf(place, sizeof(place), "%s:%u", file, line);
	audit_begin(record->line, record->log, "view");
	audit_string(record->line, "verdict", "error");
	audit_string(record->line, "path", path);
	audit_string(record->line, "rule", place);
	audit_string(record->line, "reason", kind.reason);
	audit_errno(record->line, kind.error);
	audit_end(record->line);
}

/* Of views that could not be made. */
static void write_own_total(const struct record *record, const struct sums_total *total)
{
	const struct sums_kind *kind = &total->kind;

	audit_begin(record->line, record->log, "view");
	audit_string(record->line, "verdict", "error");
	audit_string(record->line, "reason", kind->reason ? kind->reason : "for many reasons");
	audit_number(record->line, "repeated", (int64_t)total->repeated);
	if (kind->error)
		audit_errno(record->line, kind->error);
	audit_end(record->line);
}

static void write_total(const struct record *record, const struct sums_total *total)
{
	struct audit_line *line = record->line;
	const struct sums_kind *kind = &total->kind;

	if (kind->own) {
		write_own_total(record, total);
		return;
	}
	audit_begin(line, record->log, "request");
	audit_string(line, "verdict", kind->denied || !kind->reason ? "deny" : "error");
	audit_string(line, "subject", kind->subject);
	if (total->uid != SUMS_EVERYBODY)
		audit_number(line, "uid", total->uid);
	add_rights(line, kind->rights);
	add_rule(line, kind->rule);
	audit_string(line, "reason",
		kind->reason		       ? kind->reason
		: total->uid == SUMS_EVERYBODY ? "of many callers, for many reasons"
					       : "for many reasons");
	audit_number(line, "repeated", (int64_t)total->repeated);
	if (kind->error)
		audit_errno(line, kind->error);
	audit_end(line);
}

int64_t record_due(const struct record *record, int64_t now)
{
	struct sums_total total;
	int64_t due = sums_due(record->sums);

	if (due == INT64_MAX || due > now)
		return due;
	while (sums_take(record->sums, now, &total))
		write_total(record, &total);
	return sums_due(record->sums);
}
