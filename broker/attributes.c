/* SPDX-License-Identifier: MIT */
/*
 * attributes.c: see attributes.h.
 *
 * The file is looked at with O_PATH first: opening it is not to wake the other end of a FIFO or touch a device. The
 * times are then set through that descriptor. fchmod(2) takes one that is really open, so the file, by then known to
 * be a regular one or a directory, is opened once more, and must be the same.
 */
#include "attributes.h"

#include "types.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int invalid(struct outcome *outcome, const char *reason)
{
	outcome->verdict = VERDICT_ERROR;
	outcome->reason = reason;
	return -EINVAL;
}

static int deny(struct outcome *outcome, int error, const char *reason)
{
	outcome->verdict = VERDICT_DENY;
	outcome->reason = reason;
	return error;
}

/* Resolves the request's path with `write` and opens it with `flags`, looking at it. As resolve_open. */
static int open_asked(struct resolution *resolution, const struct resolver *resolver,
	const struct peer *peer, const struct request *request, int flags,
	struct policy_decision *decision, struct stat *status, struct outcome *outcome)
{
	int file = resolve_start(
		resolution, resolver, peer->caller, request->path, request->path_length, outcome);

	if (!file)
		file = resolve_open(resolution, POLICY_WRITE, flags, decision);
	if (file >= 0 && fstat(file, status) < 0) {
		close(file);
		file = -EIO;
	}
	if (file < 0 && outcome->verdict == VERDICT_ALLOW)
		outcome->verdict = VERDICT_ERROR;
	return file;
}

/* ---- chmod ------------------------------------------------------------------------------------ */

/*
 * The mode of a directory opens or closes all that is in it, to everybody who can get there without the broker. So
 * it takes the right to make the directory besides, and no deny may stand against anything beneath.
 */
static int check_directory(struct resolution *resolution)
{
	const struct resolver *resolver = resolution->resolver;
	struct policy_decision decision;
	bool allowed = resolve_decide(resolution, POLICY_WRITE | POLICY_MKDIR, &decision);

	resolve_settle(resolution, POLICY_WRITE | POLICY_MKDIR, &decision);
	if (!allowed)
		return -EACCES;
	if (policy_denies_beneath(resolver->policy, resolution->caller, resolver->scratch,
		    resolution->path, resolution->length))
		return deny(resolution->outcome, -EACCES,
			"it is a directory, and a rule denies something beneath it");
	return 0;
}

/* Opens what `looked` is about for real. A descriptor or a negative errno. */
static int reopen(struct resolution *resolution, const struct policy_decision *decision,
	const struct stat *looked)
{
	struct stat status;
	const char *relative;
	int view = resolve_view(resolution, POLICY_WRITE, decision, &relative);
	int file = view < 0 ? view
			    : resolve_beneath(resolution->resolver, view, relative,
				      O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);

	if (file < 0)
		return file;
	if (fstat(file, &status) < 0 || status.st_dev != looked->st_dev ||
		status.st_ino != looked->st_ino ||
		(status.st_mode & S_IFMT) != (looked->st_mode & S_IFMT)) {
		close(file);
		return -EAGAIN;
	}
	return file;
}

static int change_mode(struct resolution *resolution, const struct policy_decision *decision,
	const struct stat *status, mode_t mode)
{
	int error = 0;

	if (S_ISDIR(status->st_mode))
		error = check_directory(resolution);
	else if (!S_ISREG(status->st_mode))
		error = deny(resolution->outcome, -EACCES,
			"it is neither a regular file nor a directory");
	if (error)
		return error;
	int file = reopen(resolution, decision, status);
	if (file < 0)
		return file;
	/* All of the mode: what special bits there were are gone, as chmod(2) has it. */
	error = fchmod(file, mode) < 0 ? -errno : 0;
	close(file);
	return error;
}

int attributes_chmod(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	struct stat status;
	int error = -EAGAIN;

	if (request->flags || (request->mode & ~07777u))
		return invalid(outcome, "flags, or a mode beyond 07777");
	/* Left out in silence they would be missed too late. */
	if (request->mode & 07000)
		return deny(outcome, -EPERM, "a set-uid, set-gid or sticky bit");
	for (int i = 0; i < RESOLVE_TRIES && (error == -EAGAIN || error == -ELOOP); i++) {
		int file = open_asked(
			&resolution, resolver, peer, request, O_PATH, &decision, &status, outcome);
		if (file < 0)
			return file;
		close(file);
		error = change_mode(&resolution, &decision, &status, request->mode);
	}
	if (error && outcome->verdict == VERDICT_ALLOW)
		outcome->verdict = VERDICT_ERROR;
	return resolve_error(&resolution, error == -ELOOP ? -EAGAIN : error);
}

/* ---- utimens ---------------------------------------------------------------------------------- */

/* 0 or -EINVAL. */
static int read_time(const struct fdbroker_time *time, struct timespec *result)
{
	bool special = time->nanoseconds == UTIME_NOW || time->nanoseconds == UTIME_OMIT;

	result->tv_sec = (time_t)time->seconds;
	result->tv_nsec = time->nanoseconds;
	return time->reserved || (time->nanoseconds >= 1000000000 && !special) ? -EINVAL : 0;
}

static bool has_times(mode_t mode, const struct policy_decision *decision)
{
	return S_ISDIR(mode) || S_ISLNK(mode) || type_granted(mode, decision->types);
}

int attributes_utimens(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	bool link = request->flags == AT_SYMLINK_NOFOLLOW;
	struct policy_decision decision;
	struct fdbroker_times times;
	struct timespec both[2];
	struct stat status;

	if ((request->flags && !link) || request->mode)
		return invalid(outcome, "flags other than AT_SYMLINK_NOFOLLOW, or a mode");
	memcpy(&times, request->extra, sizeof(times));
	if (read_time(&times.accessed, &both[0]) || read_time(&times.modified, &both[1]))
		return invalid(outcome, "a time of a second or more of nanoseconds");
	int file = open_asked(&resolution, resolver, peer, request,
		O_PATH | (link ? O_NOFOLLOW : 0), &decision, &status, outcome);
	if (file < 0)
		return file;
	int error = 0;
	if (!has_times(status.st_mode, &decision))
		error = deny(outcome, -EACCES, "the policy does not allow this type of file");
	else if (utimensat(file, "", both, AT_EMPTY_PATH) < 0)
		error = -errno;
	close(file);
	if (error && outcome->verdict == VERDICT_ALLOW)
		outcome->verdict = VERDICT_ERROR;
	return resolve_error(&resolution, error);
}
