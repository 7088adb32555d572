/* SPDX-License-Identifier: MIT */
/*
 * move.c: see move.h.
 *
 * What is moved may be a directory, and then more must be right than for a file: nothing beneath it may be denied,
 * or come to be allowed. renameat2(2) moves whatever has the old name at that moment, and nothing makes it move
 * files only, so looking first is no proof: whoever may write in the old name's directory could exchange a file for a
 * directory in between. So everything is decided on as a directory. Only where that is denied and a file would not be
 * is it looked at, and only where nobody but root, and this broker, can exchange it. Any caller can have the broker do
 * that (a rename, or mkdir, on another connection), and what is denied to one may not be to another: so no other thread
 * puts a directory at the name from the look until it is moved (moving.h).
 */
#include "move.h"

#include "moving.h"
#include "names.h"
#include "parent.h"
#include "types.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The two names on their way. */
struct move {
	uint32_t right;
	bool exchange; /* the new name's file gets the old name */
	const struct peer *peer;
	struct resolution from, to;
	struct outcome *outcome;
	struct outcome other; /* of the new name's resolution */
	struct policy_decision decision;
	struct parent from_parent, to_parent;
	unsigned int tries;
};

static int invalid(struct outcome *outcome, const char *reason)
{
	outcome->verdict = VERDICT_ERROR;
	outcome->reason = reason;
	return -EINVAL;
}

static int deny(struct move *move, int error, const char *reason)
{
	move->outcome->verdict = VERDICT_DENY;
	move->outcome->reason = reason;
	return error;
}

static int start(struct move *move, const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	int error = resolve_start(
		&move->from, resolver, peer->caller, request->path, request->path_length, outcome);

	move->peer = peer;
	move->outcome = outcome;
	move->from_parent.directory = move->to_parent.directory = -1;
	move->tries = 0;
	if (error)
		return error;
	error = resolve_start(&move->to, resolver, peer->caller, request->extra,
		request->extra_length, &move->other);
	if (error == -EINVAL)
		outcome->reason = "the new path is not canonical";
	return error;
}

/* Asks about one way. The views are the new name's; *apart is set where they are not the old name's. */
static bool decide_way(const struct resolution *from, const struct resolution *to, uint32_t right,
	bool is_directory, struct policy_decision *decision, bool *apart)
{
	const struct resolver *resolver = from->resolver;
	uint32_t directory;

	policy_decide_move(resolver->policy, from->caller, resolver->scratch, right, is_directory,
		from->path, from->length, to->path, to->length, decision, &directory);
	*apart = directory != decision->directory;
	return decision->reason == POLICY_ALLOWED;
}

/* Decides on both ways where there are two, and settles the outcome. 0, -EACCES or -EXDEV. */
static int decide(struct move *move, bool from_is_directory, bool to_is_directory)
{
	struct policy_decision back;
	bool apart, back_apart;

	bool allowed = decide_way(
		&move->from, &move->to, move->right, from_is_directory, &move->decision, &apart);
	if (allowed && move->exchange) {
		allowed = decide_way(
			&move->to, &move->from, move->right, to_is_directory, &back, &back_apart);
		if (!allowed)
			move->decision = back;
	}
	resolve_settle(&move->from, move->right, &move->decision);
	return !allowed ? -EACCES : apart ? -EXDEV : 0;
}

/*
 * Opens the parents of both names in the same view. As parent_look; the caller closes them whatever is returned.
 * -EAGAIN where the view becomes another all the time.
 */
static int look(struct move *move)
{
	int result = parent_look(&move->from, move->right, &move->decision, &move->from_parent);

	if (!result)
		result = parent_look(&move->to, move->right, &move->decision, &move->to_parent);
	if (move->other.verdict == VERDICT_DENY)
		return deny(move, result, move->other.reason);
	/* It was made anew in between: to the kernel the two are different mounts. */
	if (!result && move->from.hold->shown != move->to.hold->shown)
		return ++move->tries < RESOLVE_LINKS_MAX ? 1 : -EAGAIN;
	return result;
}

static void close_parents(struct move *move)
{
	if (move->from_parent.directory >= 0)
		close(move->from_parent.directory);
	if (move->to_parent.directory >= 0)
		close(move->to_parent.directory);
	move->from_parent.directory = move->to_parent.directory = -1;
}

/* What the caller is told of `error`: nothing of what lies where a link has led. */
static int finish(struct move *move, int error)
{
	close_parents(move);
	if (error && move->outcome->verdict == VERDICT_ALLOW)
		move->outcome->verdict = VERDICT_ERROR;
	return resolve_error(&move->to, resolve_error(&move->from, error));
}

/* ---- rename ----------------------------------------------------------------------------------- */

/* Whether the directory is root's, who is not the caller, and nobody else can put anything at a name in it. */
static bool is_roots(const struct move *move, int directory)
{
	struct stat status;

	/* With an access control list the group's bits are the most that anybody in it has (acl(5)). */
	return move->peer->uid != 0 && fstat(directory, &status) == 0 && status.st_uid == 0 &&
	       !(status.st_mode & (S_IWGRP | S_IWOTH));
}

/* 1: it is, or may become, a directory; 0: it cannot; or a negative errno. */
static int may_be_directory(const struct move *move, const struct parent *parent)
{
	struct stat status;
	int file = resolve_beneath(
		move->from.resolver, parent->directory, parent->name, O_PATH | O_NOFOLLOW, 0);

	if (file < 0)
		return file;
	int error = fstat(file, &status) < 0 ? -errno : 0;
	close(file);
	if (error)
		return error;
	/* Where names fold another name may be the same one. */
	return S_ISDIR(status.st_mode) || !is_roots(move, parent->directory) ||
	       names_fold(parent->directory);
}

/* For two names at which a directory is denied: decides on what they may be. 0 or a negative errno. */
static int decide_on_type(struct move *move)
{
	int from, to = 0;

	from = may_be_directory(move, &move->from_parent);
	if (from >= 0 && move->exchange)
		to = may_be_directory(move, &move->to_parent);
	/* Of a name that is not there the kernel says so, as of any. */
	if (from < 0 || to < 0) {
		decide(move, false, false);
		return from < 0 ? from : to;
	}
	int error = decide(move, from, to);
	if (error == -EACCES)
		move->outcome->reason =
			"it may be a directory, and beneath it something is denied, or would be allowed";
	return error;
}

/* Has the names to itself, as far as need be. 0, 1 (another is at one of them: begin anew) or a negative errno. */
static int begin(struct move *move, bool as_files, struct moving *moving)
{
	moving->count = 0;
	int error = moving_add(moving, move->from_parent.directory, move->from_parent.name,
		as_files, move->exchange);
	if (!error)
		error = moving_add(moving, move->to_parent.directory, move->to_parent.name,
			as_files && move->exchange, true);
	if (!error && !moving_begin(moving))
		error = ++move->tries < RESOLVE_LINKS_MAX ? 1 : -EAGAIN;
	return error;
}

static int try_rename(struct move *move, unsigned int flags)
{
	struct moving moving;
	int result = decide(move, false, false);

	if (!result)
		result = look(move);
	if (result)
		return result;
	bool as_files = decide(move, true, true) != 0;
	result = begin(move, as_files, &moving);
	if (result)
		return result;
	if (as_files)
		result = decide_on_type(move);
	if (!result && renameat2(move->from_parent.directory, move->from_parent.name,
			       move->to_parent.directory, move->to_parent.name, flags) < 0)
		result = -errno;
	moving_end(&moving);
	return result;
}

int move_rename(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct move move;

	if ((request->flags && request->flags != RENAME_NOREPLACE &&
		    request->flags != RENAME_EXCHANGE) ||
		request->mode)
		return invalid(
			outcome, "flags other than RENAME_NOREPLACE or RENAME_EXCHANGE, or a mode");
	int result = start(&move, resolver, peer, request, outcome);
	if (result)
		return result;
	move.right = POLICY_RENAME;
	move.exchange = request->flags == RENAME_EXCHANGE;
	do {
		close_parents(&move);
		result = try_rename(&move, (unsigned int)request->flags);
	} while (result > 0);
	return finish(&move, result);
}

/* ---- link ------------------------------------------------------------------------------------- */

/* A second name must be no way to more than the first: 0, -EPERM or -EACCES. */
static int check_source(struct move *move, int file)
{
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	/* linkat(2) links no directory, and says so unless something else is wrong too. */
	if (S_ISDIR(status.st_mode))
		return 0;
	if (!type_granted(status.st_mode, move->decision.types))
		return deny(move, -EACCES, "the policy does not allow this type of file");
	/* It would outlive the program's next update. */
	if (status.st_mode & 07000)
		return deny(move, -EPERM, "the file has a set-uid, set-gid or sticky bit");
	return 0;
}

static int try_link(struct move *move)
{
	int result = decide(move, false, false);

	if (!result)
		result = look(move);
	if (result)
		return result;
	/* The very file that was looked at is linked, whatever becomes of its name. */
	int file = resolve_beneath(move->from.resolver, move->from_parent.directory,
		move->from_parent.name, O_PATH | O_NOFOLLOW, 0);
	if (file < 0)
		return file;
	result = check_source(move, file);
	if (!result && linkat(file, "", move->to_parent.directory, move->to_parent.name,
			       AT_EMPTY_PATH) < 0)
		result = -errno;
	close(file);
	return result;
}

int move_link(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct move move;

	if (request->flags || request->mode)
		return invalid(outcome, "flags or a mode");
	int result = start(&move, resolver, peer, request, outcome);
	if (result)
		return result;
	move.right = POLICY_CREATE;
	move.exchange = false;
	do {
		close_parents(&move);
		result = try_link(&move);
	} while (result > 0);
	return finish(&move, result);
}
