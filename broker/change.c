/* SPDX-License-Identifier: MIT */
/*
 * change.c: see change.h.
 *
 * mkdirat(2) and symlinkat(2) hand no descriptor out, so what was made must be opened by its name before it can get
 * its owner, and whoever may write in the directory may have put something else there. What is the worker's own was
 * made by it and has no owner yet: nobody else has its uid, and nothing with an owner has it. Whatever else is found
 * is left alone.
 */
#include "change.h"

#include "moving.h"
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opens the parent of the name that the request is about. As parent_open. */
static int open_asked(struct resolution *resolution, const struct resolver *resolver,
	const struct peer *peer, const struct request *request, uint32_t rights,
	struct policy_decision *decision, struct parent *parent, struct outcome *outcome)
{
	int error = resolve_start(
		resolution, resolver, peer->caller, request->path, request->path_length, outcome);

	if (!error)
		error = parent_open(resolution, rights, decision, parent);
	if (error && outcome->verdict == VERDICT_ALLOW)
		outcome->verdict = VERDICT_ERROR;
	return error;
}

/* The end of all of them: what the caller is told of `error`. */
static int finish(struct resolution *resolution, const struct parent *parent, int error,
	struct outcome *outcome)
{
	close(parent->directory);
	if (error)
		outcome->verdict = VERDICT_ERROR;
	return resolve_error(resolution, error);
}

static int invalid(struct outcome *outcome, const char *reason)
{
	outcome->verdict = VERDICT_ERROR;
	outcome->reason = reason;
	return -EINVAL;
}

/* ---- making ----------------------------------------------------------------------------------- */

/* Whether it is what was just made: of that type, and the worker's. */
static bool is_made(const struct stat *status, mode_t type)
{
	return (status->st_mode & S_IFMT) == type && status->st_uid == geteuid();
}

/*
 * Gives what `file` is to the decision's owner, with no more than the permissions of its mode: a directory
 * inherits a set-gid bit, and the group, of the one that it is made in. 0 or a negative errno.
 */
static int give_to_owner(
	int file, mode_t type, const struct peer *peer, const struct policy_decision *decision)
{
	uid_t owner = decision->owner == POLICY_OWNER_CALLER ? peer->uid : decision->owner;
	gid_t group = decision->group == POLICY_GROUP_CALLER ? peer->gid : decision->group;
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	if (!is_made(&status, type))
		return -EAGAIN;
	if (type == S_IFDIR && (status.st_mode & 07000) && fchmod(file, status.st_mode & 0777) < 0)
		return -errno;
	return fchownat(file, "", owner, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Removes what was made and has no owner yet, if the name still means that. */
static void remove_made(const struct parent *parent, mode_t type)
{
	struct stat found;

	if (fstatat(parent->directory, parent->name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		is_made(&found, type))
		unlinkat(parent->directory, parent->name, type == S_IFDIR ? AT_REMOVEDIR : 0);
}

/* For a name that was just made something of that type: opens it with `flags` and gives it to its owner. */
static int finish_made(const struct parent *parent, mode_t type, int flags, const struct peer *peer,
	const struct policy_decision *decision)
{
	/* It is in memory, having been made a moment ago, and must not be left undone: no patience is asked. */
	struct open_how how = {.flags = (uint64_t)(unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC)};
	int file = (int)syscall(SYS_openat2, parent->directory, parent->name, &how, sizeof(how));
	int error = file < 0 ? -errno : give_to_owner(file, type, peer, decision);

	if (error)
		remove_made(parent, type);
	if (file >= 0)
		close(file);
	/* Something else has its name, or nothing. */
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP ? -EAGAIN : error;
}

/* The rule's mode says what a file may have; a directory that may be read may be searched. */
static mode_t directory_mode(mode_t asked, const struct policy_decision *decision)
{
	mode_t mask = decision->mode | (decision->mode & 0444) >> 2;

	return asked & mask & 0777;
}

/* 0 or a negative errno; -EEXIST also where a file of that name is just being moved (moving.h). */
static int make_directory(const struct parent *parent, mode_t mode)
{
	struct moving moving = {0};
	int error = moving_add(&moving, parent->directory, parent->name, false, true);

	if (error)
		return error;
	if (!moving_begin(&moving))
		return -EEXIST;
	if (mkdirat(parent->directory, parent->name, mode) < 0)
		error = -errno;
	moving_end(&moving);
	return error;
}

int change_mkdir(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	struct parent parent;

	if (request->flags || (request->mode & ~07777u))
		return invalid(outcome, "flags, or a mode beyond 07777");
	int error = open_asked(
		&resolution, resolver, peer, request, POLICY_MKDIR, &decision, &parent, outcome);
	if (error)
		return error;
	error = make_directory(&parent, directory_mode(request->mode, &decision));
	if (!error)
		error = finish_made(
			&parent, S_IFDIR, O_RDONLY | O_DIRECTORY | O_NONBLOCK, peer, &decision);
	return finish(&resolution, &parent, error, outcome);
}

/* Copies the text that a link is to have. 0, -ENOENT (empty), -ENAMETOOLONG or -EINVAL (a NUL byte). */
static int copy_text(const struct request *request, char text[PATH_MAX])
{
	if (request->extra_length == 0)
		return -ENOENT;
	if (request->extra_length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(text, request->extra, request->extra_length);
	text[request->extra_length] = '\0';
	return memchr(text, '\0', request->extra_length) ? -EINVAL : 0;
}

int change_symlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	struct parent parent;
	char text[PATH_MAX];

	if (request->flags || request->mode)
		return invalid(outcome, "flags or a mode");
	int error = copy_text(request, text);
	if (error) {
		invalid(outcome, error == -EINVAL ? "a NUL byte in the link's text" : NULL);
		return error;
	}
	error = open_asked(
		&resolution, resolver, peer, request, POLICY_CREATE, &decision, &parent, outcome);
	if (error)
		return error;
	if (symlinkat(text, parent.directory, parent.name) < 0)
		error = -errno;
	else
		error = finish_made(&parent, S_IFLNK, O_PATH, peer, &decision);
	return finish(&resolution, &parent, error, outcome);
}

/* ---- removing --------------------------------------------------------------------------------- */

static int remove_name(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, int flags, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	struct parent parent;

	if (request->flags || request->mode)
		return invalid(outcome, "flags or a mode");
	int error = open_asked(
		&resolution, resolver, peer, request, POLICY_DELETE, &decision, &parent, outcome);
	if (error)
		return error;
	if (unlinkat(parent.directory, parent.name, flags) < 0)
		error = -errno;
	return finish(&resolution, &parent, error, outcome);
}

int change_rmdir(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	return remove_name(resolver, peer, request, AT_REMOVEDIR, outcome);
}

int change_unlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	return remove_name(resolver, peer, request, 0, outcome);
}
