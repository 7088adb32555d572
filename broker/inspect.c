/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What getdents64(2) writes. */
struct kernel_entry {
	uint64_t inode;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int invalid(struct outcome *outcome, const char *reason)
{
	outcome->verdict = VERDICT_ERROR;
	outcome->reason = reason;
	return -EINVAL;
}

/* Resolves the request's path with `rights` and opens it with `flags`. As resolve_open. */
static int open_asked(struct resolution *resolution, const struct resolver *resolver,
	const struct peer *peer, const struct request *request, uint32_t rights, int flags,
	struct outcome *outcome)
{
	struct policy_decision decision;
	int error = resolve_start(
		resolution, resolver, peer->caller, request->path, request->path_length, outcome);

	if (error)
		return error;
	int file = resolve_open(resolution, rights, flags, &decision);
	if (file < 0 && outcome->verdict == VERDICT_ALLOW)
		outcome->verdict = VERDICT_ERROR;
	return file;
}

/* ---- stat ------------------------------------------------------------------------------------- */

ssize_t inspect_stat(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	bool link = request->flags == AT_SYMLINK_NOFOLLOW;
	struct statx status;

	if ((request->flags && !link) || request->mode)
		return invalid(outcome, "flags other than AT_SYMLINK_NOFOLLOW, or a mode");
	int file = open_asked(&resolution, resolver, peer, request, POLICY_STAT,
		O_PATH | (link ? O_NOFOLLOW : 0), outcome);
	if (file < 0)
		return file;
	int error = statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &status) < 0
			    ? -errno
			    : 0;
	close(file);
	if (error)
		return resolve_error(&resolution, error);
	memcpy(data, &status, sizeof(status));
	return sizeof(status);
}

/* ---- access ----------------------------------------------------------------------------------- */

static bool may(
	const struct resolution *resolution, uint32_t right, struct policy_decision *decision)
{
	bool allowed = resolve_decide(resolution, right, decision);

	if (!allowed)
		resolve_settle(resolution, right, decision);
	return allowed;
}

/* Whether the file system that the path is on, in the view for writing, can be written. 0 or the errno. */
static int check_writable(struct resolution *resolution, const struct policy_decision *decision)
{
	struct statfs system;
	const char *relative;
	int view = resolve_view(resolution, POLICY_WRITE, decision, &relative);
	int file = view < 0 ? view
			    : resolve_beneath(
				      resolution->resolver, view, relative, O_PATH | O_NOFOLLOW, 0);

	if (file < 0)
		return file;
	int error = fstatfs(file, &system) < 0 ? -errno : 0;
	close(file);
	return !error && (system.f_flags & ST_RDONLY) ? -EROFS : error;
}

/*
 * What the broker would do if it were asked to open the file so: its policy counts, and whether the file is
 * on a file system that can be written; the file's own mode does not keep the broker out.
 */
static int check_access(struct resolution *resolution, int file, uint32_t mode)
{
	struct policy_decision decision;
	struct stat status;
	int error = 0;

	if ((mode & (R_OK | X_OK)) && !may(resolution, POLICY_READ, &decision))
		return -EACCES;
	if (mode & X_OK) {
		if (fstat(file, &status) < 0)
			return -errno;
		if (!decision.exec || !(status.st_mode & 0111))
			return -EACCES;
	}
	if (mode & W_OK)
		error = may(resolution, POLICY_WRITE, &decision)
				? check_writable(resolution, &decision)
				: -EACCES;
	return error;
}

ssize_t inspect_access(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;

	(void)data;
	if (request->flags || (request->mode & ~(uint32_t)(R_OK | W_OK | X_OK)))
		return invalid(outcome, "flags, or a mode of other than R_OK, W_OK and X_OK");
	int file = open_asked(&resolution, resolver, peer, request, POLICY_STAT, O_PATH, outcome);
	if (file < 0)
		return file;
	/* resolution.path is where the links led: that is what would be opened. */
	int error = check_access(&resolution, file, request->mode);
	close(file);
	return resolve_error(&resolution, error);
}

/* ---- readlink --------------------------------------------------------------------------------- */

ssize_t inspect_readlink(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct statfs system;
	ssize_t length = -1;

	if (request->flags || request->mode)
		return invalid(outcome, "flags or a mode");
	int link = open_asked(&resolution, resolver, peer, request, POLICY_READLINK,
		O_PATH | O_NOFOLLOW, outcome);
	if (link < 0)
		return link;
	/* A link of procfs tells of the broker's processes. */
	if (fstatfs(link, &system) == 0 && system.f_type == PROC_SUPER_MAGIC)
		errno = EACCES;
	else
		length = readlinkat(link, "", data, POLICY_PATH_BUFFER);
	/* With an empty path the kernel says ENOENT of what is no link (readlink(2)). */
	int error = length < 0 ? (errno == ENOENT ? -EINVAL : -errno) : 0;
	close(link);
	return error ? resolve_error(&resolution, error) : length;
}

/* ---- list ------------------------------------------------------------------------------------- */

/* Copies the entries of `length` bytes at `bytes` behind the *used at `data`. The last one's position. */
static int64_t copy_entries(const char *bytes, size_t length, char *data, size_t *used)
{
	int64_t next = 0;

	for (size_t at = 0; at < length;) {
		const struct kernel_entry *found = (const void *)(bytes + at);
		size_t size = strlen(found->name);
		struct fdbroker_entry entry = {
			.inode = found->inode,
			.type = found->type,
			.name_length = (uint8_t)size,
		};
		at += found->length;
		next = found->next;
		if (size > UINT8_MAX || strcmp(found->name, ".") == 0 ||
			strcmp(found->name, "..") == 0)
			continue;
		memcpy(data + *used, &entry, sizeof(entry));
		memcpy(data + *used + sizeof(entry), found->name, size);
		*used += sizeof(entry) + size;
	}
	return next;
}

/* Fills `data` from the directory's position `from`. The length or a negative errno. */
static ssize_t read_entries(int directory, uint64_t from, char *data)
{
	/* An entry of the kernel's takes no less room than one of the reply: 19 bytes and the name and its
	 * NUL, rounded up to 8, against 16 and the name. */
	__attribute__((uninitialized)) char bytes[INSPECT_DATA_MAX - sizeof(struct fdbroker_list)]
		__attribute__((aligned(8)));
	struct fdbroker_list list = {0};
	size_t used = sizeof(list);

	if (from > INT64_MAX || lseek(directory, (off_t)from, SEEK_SET) < 0)
		return -EINVAL;
	/* What is all "." and ".." is not yet the end; a file system that says nothing else has one. */
	for (int i = 0; i < 3 && used == sizeof(list); i++) {
		long length = syscall(SYS_getdents64, directory, bytes, sizeof(bytes));
		if (length < 0)
			return -errno;
		list.next = 0;
		if (length == 0)
			break;
		list.next = (uint64_t)copy_entries(bytes, (size_t)length, data, &used);
	}
	if (used == sizeof(list))
		list.next = 0;
	memcpy(data, &list, sizeof(list));
	return (ssize_t)used;
}

ssize_t inspect_list(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, char *data, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;

	if (request->mode)
		return invalid(outcome, "a mode");
	int directory = open_asked(&resolution, resolver, peer, request, POLICY_LIST,
		O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY, outcome);
	if (directory < 0)
		return directory;
	ssize_t length = read_entries(directory, request->flags, data);
	close(directory);
	return resolve_error(&resolution, (int)length);
}
