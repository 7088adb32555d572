/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's value, which programs built for 32 bits send and libc hides from those built for 64.
 */
#define LARGEFILE 0100000u
/* O_TMPFILE without the O_DIRECTORY that it contains. */
#define TMPFILE (O_TMPFILE & ~O_DIRECTORY)
/* Mean nothing to the one who opens: they are the receiver's business. */
#define IGNORED (O_CLOEXEC | LARGEFILE)
/* Changed on the way in and put right before the descriptor is handed out. */
#define ON_THE_WAY (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define KNOWN                                                                                \
	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | \
		O_DIRECT | O_NOFOLLOW | O_NOCTTY | O_NOATIME | O_DIRECTORY | TMPFILE | IGNORED)

/* A file that comes and goes while it is being opened is tried this often. */
#define TRIES 4

/* One open, on its way. */
struct opening {
	const struct resolver *resolver;
	const char *path; /* canonical and mapped */
	size_t length;
	int flags; /* the caller's, but for those in IGNORED */
	mode_t mode;
	uid_t owner;
	gid_t group;
	struct policy_decision access, create;
	bool may_access, may_create;
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
	else if ((flags & O_CREAT) && (flags & O_DIRECTORY))
		*reason = "O_CREAT with O_DIRECTORY";
	else if (mode && !(flags & (O_CREAT | TMPFILE)))
		*reason = "a mode without O_CREAT";
	else if (mode & ~07777u)
		*reason = "a mode beyond 07777";
	else if (flags & TMPFILE) {
		*reason = "O_TMPFILE is not served";
		return -EOPNOTSUPP;
	} else
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

static bool decide(const struct resolver *resolver, const struct policy_caller *caller,
	uint32_t rights, const char *path, size_t length, struct policy_decision *decision)
{
	policy_decide(resolver->policy, caller, resolver->scratch, rights, path, length, decision);
	return decision->reason == POLICY_ALLOWED;
}

/* The view to open beneath, and the path within it. A negative errno where there is no such view.
 */
static int find_view(const struct opening *opening, const struct policy_decision *decision,
	uint32_t rights, const char **relative)
{
	size_t count;
	const struct policy_directory *directory =
		&policy_directories(opening->resolver->policy, &count)[decision->directory];
	size_t prefix = strlen(directory->path);
	uint32_t attributes = (rights & POLICY_WRITING_RIGHTS ? VIEW_WRITABLE : 0) |
			      (decision->exec ? VIEW_EXEC : 0);

	*relative = opening->path + (prefix == 1 ? 1 : prefix + 1);
	if (opening->length <= prefix)
		*relative = ".";
	return views_get(opening->resolver->views, decision->directory, attributes);
}

static int open_beneath(int view, const char *relative, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long descriptor;

	/* EAGAIN: a rename or a mount elsewhere came between (openat2(2)). */
	for (int i = 0; i < TRIES; i++) {
		descriptor = syscall(SYS_openat2, view, relative, &how, sizeof(how));
		if (descriptor >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return descriptor < 0 ? -errno : (int)descriptor;
}

/* Takes back a file that was created but may not be handed out, if its name still means that file.
 */
static void remove_created(int view, const char *relative, int file)
{
	const char *slash = strrchr(relative, '/');
	const char *name = slash ? slash + 1 : relative;
	char parent[PATH_MAX];
	struct stat made, found;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - relative) : 1,
		slash ? relative : ".");
	int directory = open_beneath(view, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (directory < 0)
		return;
	if (fstat(file, &made) == 0 && fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		made.st_dev == found.st_dev && made.st_ino == found.st_ino)
		unlinkat(directory, name, 0);
	close(directory);
}

/*
 * Creates the file. O_EXCL makes sure that what is opened is new: nothing but a new file may get an
 * owner, and a dangling symbolic link is something that exists.
 */
static int create_file(const struct opening *opening)
{
	const struct policy_decision *decision = &opening->create;
	const char *relative;
	int view = find_view(opening, decision, POLICY_CREATE, &relative);
	int file, error;

	if (view < 0)
		return view;
	/* The set-uid, set-gid and sticky bits are outside every rule's mode. */
	file = open_beneath(view, relative, opening->flags | O_EXCL | ON_THE_WAY,
		opening->mode & decision->mode & 0777);
	if (file < 0)
		return file;
	uid_t owner = decision->owner == POLICY_OWNER_CALLER ? opening->owner : decision->owner;
	gid_t group = decision->group == POLICY_GROUP_CALLER ? opening->group : decision->group;
	if (fchown(file, owner, group) == 0)
		return file;
	error = -errno;
	remove_created(view, relative, file);
	close(file);
	return error;
}

static int open_existing(const struct opening *opening)
{
	const char *relative;
	uint32_t rights = access_rights(opening->flags);
	int view = find_view(opening, &opening->access, rights, &relative);

	if (view < 0)
		return view;
	return open_beneath(view, relative, (opening->flags & ~(O_CREAT | O_EXCL)) | ON_THE_WAY, 0);
}

/* Settles `outcome` with the decision on the right to create, or to the file that is there. */
static void settle(const struct opening *opening, bool create, struct outcome *outcome)
{
	outcome->rights = create ? POLICY_CREATE : access_rights(opening->flags);
	outcome->decision = create ? opening->create : opening->access;
	outcome->verdict =
		outcome->decision.reason == POLICY_ALLOWED ? VERDICT_ALLOW : VERDICT_DENY;
}

static int open_or_create(const struct opening *opening, struct outcome *outcome)
{
	int file = -ENOENT;

	/* Who may only create, or only open, learns from EACCES that the file is there, or is not:
	 * that much the one right itself would have told. */
	for (int i = 0; i < TRIES && file == -ENOENT; i++) {
		if (opening->may_create) {
			settle(opening, true, outcome);
			file = create_file(opening);
			if (file != -EEXIST || (opening->flags & O_EXCL))
				return file;
		}
		settle(opening, false, outcome);
		if (!opening->may_access)
			return -EACCES;
		file = open_existing(opening);
		if (file == -ENOENT && !opening->may_create) {
			settle(opening, true, outcome);
			return -EACCES;
		}
	}
	return file;
}

/* Refuses what is not of a type that the rule allows, and gives the caller the flags it asked for.
 */
static int hand_over(int file, const struct opening *opening, struct outcome *outcome)
{
	struct stat status;

	/* glibc's fstat is newfstatat, which is slower by a path look-up. */
	if (syscall(SYS_fstat, file, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode)) {
		outcome->verdict = VERDICT_DENY;
		outcome->reason = "not a regular file";
		return -EACCES;
	}
	if (!(opening->flags & O_NONBLOCK) &&
		fcntl(file, F_SETFL, opening->flags & ~(O_CREAT | O_EXCL | O_TRUNC)) < 0)
		return -errno;
	return 0;
}

int resolve_open(const struct resolver *resolver, const struct policy_caller *caller, uid_t owner,
	gid_t group, const char *path, size_t length, uint64_t flags, uint32_t mode,
	struct outcome *outcome)
{
	char mapped[POLICY_PATH_BUFFER];
	struct opening opening = {
		.resolver = resolver,
		.path = mapped,
		.flags = (int)(flags & KNOWN & ~(uint64_t)IGNORED),
		.mode = mode,
		.owner = owner,
		.group = group,
	};
	int file, error;

	outcome->verdict = VERDICT_ERROR;
	outcome->rights = 0;
	outcome->reason = NULL;
	error = policy_path_check(path, length);
	if (error) {
		outcome->reason = error == -EINVAL ? "the path is not canonical" : NULL;
		return error;
	}
	error = check_flags(flags, mode, &outcome->reason);
	if (error)
		return error;
	ssize_t mapped_length = policy_map(resolver->policy, path, length, mapped);
	if (mapped_length < 0)
		return (int)mapped_length;
	opening.length = (size_t)mapped_length;

	if (!(opening.flags & O_EXCL) || !(opening.flags & O_CREAT))
		opening.may_access = decide(resolver, caller, access_rights(opening.flags), mapped,
			opening.length, &opening.access);
	if (opening.flags & O_CREAT)
		opening.may_create = decide(
			resolver, caller, POLICY_CREATE, mapped, opening.length, &opening.create);
	settle(&opening, (opening.flags & O_CREAT) && !opening.may_access, outcome);
	if (!opening.may_access && !opening.may_create)
		return -EACCES;

	file = opening.flags & O_CREAT ? open_or_create(&opening, outcome)
				       : open_existing(&opening);
	if (file < 0) {
		if (outcome->verdict == VERDICT_ALLOW)
			outcome->verdict = VERDICT_ERROR;
		return file;
	}
	error = hand_over(file, &opening, outcome);
	if (error) {
		close(file);
		return error;
	}
	return file;
}
