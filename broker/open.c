/* SPDX-License-Identifier: MIT */
#include "open.h"

#include "types.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's value, which programs built for 32 bits send and libc hides from those built for 64; on the
 * machines that have the generic values. */
#if O_NOFOLLOW == 0400000
#define LARGEFILE 0100000u
#else
#define LARGEFILE 0u
#endif
/* O_TMPFILE without the O_DIRECTORY that it contains. */
#define TMPFILE (O_TMPFILE & ~O_DIRECTORY)
/* Mean nothing to the one who opens: they are the receiver's business. */
#define IGNORED (O_CLOEXEC | LARGEFILE)
/* Changed on the way in and put right before the descriptor is handed out. */
#define ON_THE_WAY (O_NONBLOCK | O_NOCTTY)
#define KNOWN                                                                                \
	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | \
		O_DIRECT | O_NOFOLLOW | O_NOCTTY | O_NOATIME | O_DIRECTORY | TMPFILE | IGNORED)

/* One open, on its way. */
struct opening {
	struct resolution resolution;
	const struct peer *peer;
	int flags; /* the caller's, but for those in IGNORED */
	mode_t mode;
	uint32_t rights; /* that opening a file that is there takes */
	struct policy_decision access, create;
	bool may_access, may_create;
	/* Set by whichever way opened it. */
	const struct policy_decision *granted;
};

/* 0, or the errno and, in `reason`, which flag it is. */
static int check_flags(uint64_t flags, uint32_t mode, const char **reason)
{
	if (flags & O_PATH)
		*reason = "O_PATH is not served";
	else if (flags & O_ASYNC)
		*reason = "O_ASYNC is not served";
	else if (flags & ~(uint64_t)KNOWN)
		*reason = "an open flag that is not known";
	else if ((flags & O_ACCMODE) == O_ACCMODE)
		*reason = "the access mode 3";
	else if ((flags & O_CREAT) && (flags & (O_DIRECTORY | TMPFILE)))
		*reason = "O_CREAT with O_DIRECTORY or O_TMPFILE";
	else if ((flags & TMPFILE) && (!(flags & O_DIRECTORY) || !(flags & O_ACCMODE)))
		*reason = "O_TMPFILE without O_DIRECTORY, or for reading only";
	else if (mode && !(flags & (O_CREAT | TMPFILE)))
		*reason = "a mode without O_CREAT";
	else if (mode & ~07777u)
		*reason = "a mode beyond 07777";
	else
		return 0;
	return -EINVAL;
}

/* The rights that opening a file that is there takes. */
static uint32_t access_rights(int flags)
{
	static const uint32_t by_mode[] = {
		[O_RDONLY] = POLICY_READ,
		[O_WRONLY] = POLICY_WRITE,
		[O_RDWR] = POLICY_READ | POLICY_WRITE,
	};

	return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? POLICY_WRITE : 0);
}

/* Takes back a file that was created but may not be handed out, if its name still means that file. */
static void remove_created(
	const struct resolver *impatient, int view, const char *relative, int file)
{
	/* It was created a moment ago, so that this does not take long; and it must not be left undone. */
	struct resolver resolver = *impatient;
	const char *slash = strrchr(relative, '/');
	const char *name = slash ? slash + 1 : relative;
	char parent[PATH_MAX];
	struct stat made, found;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - relative) : 1,
		slash ? relative : ".");
	resolver.patience = PATIENCE_ALL;
	int directory = resolve_beneath(&resolver, view, parent, O_PATH | O_DIRECTORY, 0);
	if (directory < 0)
		return;
	if (fstat(file, &made) == 0 && fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		made.st_dev == found.st_dev && made.st_ino == found.st_ino)
		unlinkat(directory, name, 0);
	close(directory);
}

static int give_to_owner(const struct opening *opening, int file)
{
	const struct policy_decision *decision = &opening->create;
	uid_t owner = decision->owner == POLICY_OWNER_CALLER ? opening->peer->uid : decision->owner;
	gid_t group = decision->group == POLICY_GROUP_CALLER ? opening->peer->gid : decision->group;

	return fchown(file, owner, group) < 0 ? -errno : 0;
}

/*
 * Creates the file, which is named, or unnamed in the directory that is. O_EXCL makes sure that what is
 * opened is new: nothing but a new file may get an owner, and a dangling symbolic link is something that
 * exists. For an unnamed file it means that it can never be given a name.
 */
static int create_file(struct opening *opening, int view, const char *relative)
{
	/* The set-uid, set-gid and sticky bits are outside every rule's mode. O_DIRECT is set afterwards: a
	 * file system that does not have it would refuse, and leave the new file behind. */
	const struct resolver *resolver = opening->resolution.resolver;
	int file = resolve_beneath(resolver, view, relative,
		(opening->flags & ~O_DIRECT) | O_EXCL | ON_THE_WAY,
		opening->mode & opening->create.mode & 0777);
	int error;

	if (file < 0)
		return file;
	opening->granted = &opening->create;
	error = give_to_owner(opening, file);
	if (!error)
		return file;
	if (!(opening->flags & TMPFILE))
		remove_created(resolver, view, relative, file);
	close(file);
	return error;
}

/* For one who may not write, but perhaps append. If not, the decision stays the one about writing. */
static bool decide_append(struct opening *opening)
{
	struct policy_decision decision;
	uint32_t rights = opening->rights & ~(uint32_t)POLICY_WRITE;

	if (rights == opening->rights ||
		!resolve_decide(&opening->resolution, rights | POLICY_APPEND, &decision))
		return false;
	opening->rights = rights | POLICY_APPEND;
	opening->access = decision;
	return true;
}

/* Decides on the path as it now stands. False where nothing of it may be touched. */
static bool decide(struct opening *opening)
{
	struct resolution *resolution = &opening->resolution;
	bool creates = opening->flags & (O_CREAT | TMPFILE);
	bool must_create = (opening->flags & TMPFILE) || (creates && (opening->flags & O_EXCL));

	opening->rights = access_rights(opening->flags);
	opening->may_access =
		!must_create && resolve_decide(resolution, opening->rights, &opening->access);
	if (!must_create && !opening->may_access &&
		(opening->flags & (O_APPEND | O_TRUNC)) == O_APPEND)
		opening->may_access = decide_append(opening);
	/* An unnamed file is made in the directory that a link leads to, not in the place of the link. */
	opening->may_create = creates &&
			      ((opening->flags & TMPFILE) || !resolution->last_followed) &&
			      resolve_decide(resolution, POLICY_CREATE, &opening->create);
	return opening->may_access || opening->may_create;
}

static void settle(struct opening *opening, bool create)
{
	if (create)
		resolve_settle(&opening->resolution, POLICY_CREATE, &opening->create);
	else
		resolve_settle(&opening->resolution, opening->rights, &opening->access);
}

/*
 * A device cannot be opened in a view, so that one that is not granted is not even touched. One of a type that
 * the rule grants is opened by the supervisor. -EACCES where it is no such device.
 */
static int open_device(struct opening *opening, int view, const char *relative)
{
	uint32_t types = opening->access.types;
	uint32_t attributes = resolve_attributes(opening->rights, &opening->access);
	const struct resolver *resolver = opening->resolution.resolver;
	struct stat status;

	/* The maker is asked. */
	if (resolver->patience != PATIENCE_ALL)
		return -EINPROGRESS;
	int node = resolve_beneath(resolver, view, relative, O_PATH, 0);

	if (node < 0)
		return node;
	bool granted = fstat(node, &status) == 0 &&
		       ((S_ISCHR(status.st_mode) && (types & POLICY_TYPE_CHARDEV)) ||
			       (S_ISBLK(status.st_mode) && (types & POLICY_TYPE_BLOCKDEV)));
	close(node);
	if (!granted)
		return -EACCES;
	return views_open_device(resolver->views, opening->access.directory, attributes,
		opening->peer->caller, relative, opening->flags);
}

/* One try at the path as it now stands; -ELOOP sets *view and *relative to where the link was met. */
static int try_create(struct opening *opening, int *view, const char **relative)
{
	settle(opening, true);
	*view = resolve_view(&opening->resolution, POLICY_CREATE, &opening->create, relative);
	int error = *view < 0 ? *view : resolve_check_names(&opening->resolution, *view, *relative);
	return error ? error : create_file(opening, *view, *relative);
}

/*
 * As resolve_beneath, but waits as open(2) does where that has patience: for the other end of a FIFO that the rule
 * allows, for the holder of a lease. That the caller has given up ends it.
 */
static int open_waiting(struct opening *opening, int view, const char *relative, int flags)
{
	const struct resolver *resolver = opening->resolution.resolver;
	struct stat status;
	int node = resolve_beneath(resolver, view, relative, O_PATH, 0);

	if (node < 0)
		return node;
	int error = fstat(node, &status) < 0 ? -errno : 0;
	close(node);
	if (error)
		return error;
	if (S_ISFIFO(status.st_mode) && (opening->access.types & POLICY_TYPE_FIFO))
		flags &= ~O_NONBLOCK;
	int file = resolve_beneath(resolver, view, relative, flags, 0);
	if (file == -EAGAIN && S_ISREG(status.st_mode))
		file = resolve_beneath(resolver, view, relative, flags & ~O_NONBLOCK, 0);
	return file;
}

static int open_present(struct opening *opening, int view, const char *relative)
{
	const struct resolver *resolver = opening->resolution.resolver;
	int flags = (opening->flags & ~(O_CREAT | O_EXCL)) | ON_THE_WAY;
	bool fifo = opening->access.types & POLICY_TYPE_FIFO;

	if (opening->flags & O_NONBLOCK)
		return resolve_beneath(resolver, view, relative, flags, 0);
	if (resolver->patience == PATIENCE_ALL)
		return open_waiting(opening, view, relative, flags);
	return fifo ? -EINPROGRESS : resolve_beneath(resolver, view, relative, flags, 0);
}

static int try_access(struct opening *opening, int *view, const char **relative)
{
	settle(opening, false);
	opening->granted = &opening->access;
	*view = resolve_view(&opening->resolution, opening->rights, &opening->access, relative);
	if (*view < 0)
		return *view;
	int error = resolve_check_names(&opening->resolution, *view, *relative);
	if (error)
		return error;
	int file = open_present(opening, *view, *relative);
	if (file == -EACCES &&
		(opening->access.types & (POLICY_TYPE_CHARDEV | POLICY_TYPE_BLOCKDEV)))
		file = open_device(opening, *view, *relative);
	return file;
}

/*
 * Opens or creates. Who may only do one of the two learns from EACCES that the file is there, or is not: that
 * much the one right itself would have told.
 */
static int open_or_create(struct opening *opening)
{
	struct resolution *resolution = &opening->resolution;
	const char *relative;
	int view, file;

	for (int tries = 0; tries < RESOLVE_TRIES;) {
		bool last = !(opening->flags & O_NOFOLLOW);
		if (!decide(opening)) {
			settle(opening, opening->flags & (O_CREAT | TMPFILE));
			return -EACCES;
		}
		file = -ENOENT;
		if (opening->may_create) {
			file = try_create(opening, &view, &relative);
			/* A name that is created is not followed, but its directories are. */
			if (file == -ELOOP && !(opening->flags & TMPFILE))
				last = false;
			if (file == -EEXIST && !(opening->flags & O_EXCL)) {
				settle(opening, false);
				if (!opening->may_access)
					return -EACCES;
				file = -ENOENT;
			} else if (file != -ELOOP) {
				return file;
			}
		}
		if (file != -ELOOP && opening->may_access) {
			file = try_access(opening, &view, &relative);
			if (file == -ENOENT && (opening->flags & O_CREAT)) {
				/* It went away between the two: from the start. */
				tries++;
				if (opening->may_create)
					continue;
				if (!resolution->last_followed)
					settle(opening, true);
				return -EACCES;
			}
		}
		if (file != -ELOOP)
			return file;
		int error = resolve_follow(resolution, view, relative, last);
		if (error)
			return error;
	}
	return file;
}

/* Whether nothing but appending can be done with the file. O_APPEND alone its holder takes away (fcntl(2)). */
static bool is_append_only(int file)
{
	struct statx status;

	return statx(file, "", AT_EMPTY_PATH, STATX_TYPE, &status) == 0 &&
	       (status.stx_attributes & STATX_ATTR_APPEND);
}

/* Refuses what is not of a type that the rule allows, and gives the caller the flags it asked for. */
static int hand_over(int file, const struct opening *opening, struct outcome *outcome)
{
	struct stat status;

	/* glibc's fstat is newfstatat, which is slower by a path look-up. */
	if (syscall(SYS_fstat, file, &status) < 0)
		return -errno;
	if (!type_granted(status.st_mode, opening->granted->types)) {
		outcome->verdict = VERDICT_DENY;
		outcome->reason = "the policy does not allow this type of file";
		return -EACCES;
	}
	if (opening->granted == &opening->access && (opening->rights & POLICY_APPEND) &&
		!is_append_only(file)) {
		outcome->verdict = VERDICT_DENY;
		outcome->reason = "append is for files with the append-only attribute (chattr +a)";
		return -EACCES;
	}
	if ((!(opening->flags & O_NONBLOCK) || (opening->flags & O_DIRECT)) &&
		fcntl(file, F_SETFL, opening->flags & ~(O_CREAT | O_EXCL | O_TRUNC)) < 0)
		return -errno;
	return 0;
}

int open_file(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	/* Two paths are too much to clear for each request; every field is set before it is used. */
	__attribute__((uninitialized)) struct opening opening;
	int file, error;

	error = resolve_start(&opening.resolution, resolver, peer->caller, request->path,
		request->path_length, outcome);
	if (!error)
		error = check_flags(request->flags, request->mode, &outcome->reason);
	if (error)
		return error;
	opening.peer = peer;
	opening.flags = (int)(request->flags & KNOWN & ~(uint64_t)IGNORED);
	opening.mode = request->mode;

	file = resolve_error(&opening.resolution, open_or_create(&opening));
	if (file >= 0) {
		error = hand_over(file, &opening, outcome);
		if (error)
			close(file);
	} else {
		error = file;
		if (outcome->verdict == VERDICT_ALLOW)
			outcome->verdict = VERDICT_ERROR;
	}
	return error ? error : file;
}
