/* SPDX-License-Identifier: MIT */
/*
 * The worker with a deliberate hole, never installed: the operation 99 runs what somebody who has taken the
 * worker over would try, in the worker as it is when it serves. The request's flags say which: 0 looks for all that can
 * be reached with the calls that the worker has, BENEATH does what it can with the path, a name, in each directory that
 * it holds; the others are a system call each (attempts[], from 1), but for the two of hole.h. The path is
 * "FILE\nTYPE\nHANDLE\nMAKER": a file outside, by its absolute path and by its handle (open_by_handle_at(2), in
 * hexadecimal), and the maker's process. The answer is text: a line "WHAT RESULT" each.
 */
#define operations_run real_operations_run
#include "../../broker/operations.c"
#undef operations_run

#include "hole.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply);

#define HOLE	99
#define BENEATH 100

static char report[INSPECT_DATA_MAX];
static size_t used;

void hole_tell(const char *what, long at, long to, long result)
{
	const char *text = result < 0 ? strerrorname_np(errno) : "succeeded";
	size_t room = sizeof(report) - used;
	int length = to < 0 ? snprintf(report + used, room, "%s@%ld %s\n", what, at, text)
			    : snprintf(report + used, room, "%s@%ld>%ld %s\n", what, at, to, text);

	used += (size_t)length < room ? (size_t)length : room - 1;
}

static void tell(const char *what, int at, long result)
{
	hole_tell(what, at, -1, result);
}

int hole_directory(int from)
{
	struct stat status;

	for (int at = from; at < 256; at++)
		if (fstat(at, &status) == 0 && S_ISDIR(status.st_mode))
			return at;
	return -1;
}

long hole_open(int at, const char *path, int flags)
{
	bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = (uint64_t)flags, .mode = makes ? 0600 : 0};

	return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

/* With the calls that the worker has. */
static void attack_paths(int at, const char *outside)
{
	char up[5000];
	struct stat status;

	tell("open", at, hole_open(at, outside, O_RDONLY));
	tell("open writable", at, hole_open(at, outside, O_WRONLY));
	snprintf(up, sizeof(up), "../../../../../../../../../..%s", outside);
	tell("open up", at, hole_open(at, up, O_RDONLY));
	tell("open root", at, hole_open(at, "/proc/1/root", O_RDONLY));
	snprintf(up, sizeof(up), "/proc/%d/mem", (int)getppid());
	tell("open the supervisor's memory", at, hole_open(at, up, O_RDONLY));
	snprintf(up, sizeof(up), "../../../../../../../../../..%s", outside);
	tell("stat", at, fstatat(at, outside, &status, 0));
	tell("stat up", at, fstatat(at, up, &status, 0));
	tell("create", at, hole_open(at, "/fdbroker-test-created", O_CREAT | O_WRONLY));
}

/* In ways that only the flags tell apart, which a filter of system calls does not see. */
static void attack_beneath(int at, const char *name)
{
	static const struct {
		const char *what;
		int flags;
	} ways[] = {
		{"read", O_RDONLY},
		{"write", O_WRONLY},
		{"append", O_WRONLY | O_APPEND},
		{"truncate", O_RDONLY | O_TRUNC},
		{"make", O_RDWR | O_CREAT},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		bool make = ways[i].flags & O_CREAT;
		int file = (int)hole_open(at, make ? "made" : name, ways[i].flags);
		tell(ways[i].what, at, file);
		/* The same numbers are looked at next. */
		if (file >= 0)
			close(file);
	}
}

/* ---- one system call each --------------------------------------------------------------------- */

struct target {
	const char *path;
	struct {
		struct file_handle handle;
		unsigned char bytes[128];
	} by_handle;
	pid_t maker;
};

static long try_openat(const struct target *target)
{
	return openat(AT_FDCWD, target->path, O_RDONLY);
}

static long try_handle(const struct target *target)
{
	struct file_handle *handle = (struct file_handle *)(uintptr_t)&target->by_handle.handle;
	/* The kernel takes none that was opened with O_PATH. */
	int at = (int)hole_open(hole_directory(0), ".", O_RDONLY | O_DIRECTORY);

	return open_by_handle_at(at, handle, O_RDONLY);
}

static long try_chmod(const struct target *target)
{
	return fchmodat(hole_directory(0), target->path, 0777, 0);
}

static long try_chown(const struct target *target)
{
	return chown(target->path, 0, 0);
}

static long try_xattr(const struct target *target)
{
	return syscall(SYS_setxattr, target->path, "user.fdbroker", "x", 1, 0);
}

static long try_execute(const struct target *target)
{
	char *arguments[] = {(char *)(uintptr_t)target->path, NULL};

	return execv("/bin/sh", arguments);
}

static long try_ptrace(const struct target *target)
{
	(void)target;
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static long try_kill(const struct target *target)
{
	(void)target;
	return kill(getppid(), 0);
}

static long try_tgkill(const struct target *target)
{
	(void)target;
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long try_memory(const struct target *target)
{
	char byte;
	struct iovec mine = {&byte, 1}, theirs = {report, 1};

	(void)target;
	return process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0);
}

static long try_socket(const struct target *target)
{
	(void)target;
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_mount(const struct target *target)
{
	(void)target;
	return mount("none", "/", "tmpfs", 0, NULL);
}

static long try_fsopen(const struct target *target)
{
	(void)target;
	return fsopen("tmpfs", 0);
}

static long try_setuid(const struct target *target)
{
	(void)target;
	return syscall(SYS_setresuid, -1, -1, -1);
}

static long try_chroot(const struct target *target)
{
	(void)target;
	return chroot("/");
}

static long try_fork(const struct target *target)
{
	(void)target;
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid;
}

static long try_executable(const struct target *target)
{
	(void)target;
	void *memory = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? -1 : 0;
}

static long try_handler(const struct target *target)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	(void)target;
	return sigaction(SIGSYS, &action, NULL);
}

/* The kernel would then signal the supervisor. Last: only where it has the same user is it denied by itself. */
static long try_owner(const struct target *target)
{
	int ends[2];

	(void)target;
	ends[0] = hole_directory(0);
	return fcntl(ends[0], F_SETOWN, getppid());
}

/* ---- the maker, which has more than any other -------------------------------------------------- */

static long try_ptrace_maker(const struct target *target)
{
	return ptrace(PTRACE_ATTACH, target->maker, 0, 0);
}

static long try_kill_maker(const struct target *target)
{
	return kill(target->maker, 0);
}

static long try_memory_maker(const struct target *target)
{
	char byte;
	struct iovec mine = {&byte, 1}, theirs = {report, 1};

	return process_vm_readv(target->maker, &mine, 1, &theirs, 1, 0);
}

static long try_pidfd(const struct target *target)
{
	return syscall(SYS_pidfd_open, target->maker, 0);
}

static long try_pidfd_getfd(const struct target *target)
{
	(void)target;
	return syscall(SYS_pidfd_getfd, hole_directory(0), 0, 0);
}

/* ---- more than what its descriptors give ------------------------------------------------------- */

static int find_socket(void)
{
	struct stat status;

	for (int at = 0; at < 256; at++)
		if (fstat(at, &status) == 0 && S_ISSOCK(status.st_mode))
			return at;
	return -1;
}

static long try_connect(const struct target *target)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", target->path);
	return connect(find_socket(), (struct sockaddr *)&address, sizeof(address));
}

static long try_bind(const struct target *target)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0fdbroker-test-hole"};

	(void)target;
	return bind(find_socket(), (struct sockaddr *)&address, sizeof(address));
}

static long try_socketpair(const struct target *target)
{
	int ends[2];

	(void)target;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
}

static long try_mount_setattr(const struct target *target)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	(void)target;
	return mount_setattr(hole_directory(0), "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

static long try_open_tree(const struct target *target)
{
	(void)target;
	return open_tree(hole_directory(0), "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
}

static long try_unshare(const struct target *target)
{
	(void)target;
	return unshare(CLONE_NEWUSER);
}

static long try_capset(const struct target *target)
{
	uint32_t header[2] = {0x20080522, 0}, none[6] = {0};

	(void)target;
	return syscall(SYS_capset, header, none);
}

static long try_watch(const struct target *target)
{
	long watch = -1;

	(void)target;
	/* One of them is the maker's instance, of which the worker has the reports. */
	for (int at = 0; at < 256 && watch < 0; at++)
		watch = syscall(SYS_inotify_add_watch, at, "/", 0x100);
	return watch;
}

static long (*const attempts[])(const struct target *target) = {
	try_openat,
	try_handle,
	try_chmod,
	try_chown,
	try_xattr,
	try_execute,
	try_ptrace,
	try_kill,
	try_tgkill,
	try_memory,
	try_socket,
	try_mount,
	try_fsopen,
	try_setuid,
	try_chroot,
	try_fork,
	try_executable,
	try_handler,
	try_owner,
	try_ptrace_maker,
	try_kill_maker,
	try_memory_maker,
	try_pidfd,
	try_pidfd_getfd,
	try_connect,
	try_bind,
	try_socketpair,
	try_mount_setattr,
	try_open_tree,
	try_unshare,
	try_capset,
	try_watch,
};

static void read_target(char *text, struct target *target)
{
	char *type = strchr(text, '\n'), *hex = type ? strchr(type + 1, '\n') : NULL;
	unsigned int count = 0, byte;

	target->path = text;
	if (!hex)
		return;
	*type = '\0';
	target->by_handle.handle.handle_type = atoi(type + 1);
	unsigned char *bytes = (unsigned char *)&target->by_handle + sizeof(struct file_handle);
	for (hex++; count < 128 && *hex != '\n' && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		bytes[count++] = (unsigned char)byte;
	target->by_handle.handle.handle_bytes = count;
	const char *maker = strchr(hex, '\n');
	target->maker = maker ? atoi(maker + 1) : 0;
}

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	char text[4096];
	struct target target = {0};

	if (request->operation != HOLE) {
		real_operations_run(operations, peer, stranger, request, reply);
		return;
	}
	snprintf(text, sizeof(text), "%.*s", (int)request->path_length, request->path);
	read_target(text, &target);
	*reply = (struct reply){.descriptor = -1, .data = report};
	used = 0;
	if (request->flags > 0 && request->flags <= sizeof(attempts) / sizeof(attempts[0])) {
		tell("it", 0, attempts[request->flags - 1](&target));
	} else if (request->flags == BENEATH) {
		for (int at = hole_directory(0); at >= 0 && used < sizeof(report) - 2048;
			at = hole_directory(at + 1))
			attack_beneath(at, target.path);
	} else if (request->flags == HOLE_OPEN_TO_WRITE || request->flags == HOLE_CHANGE) {
		for (int at = hole_directory(0); at >= 0; at = hole_directory(at + 1))
			hole_change(at, request->flags == HOLE_CHANGE);
	} else if (request->flags == 0) {
		attack_paths(AT_FDCWD, target.path);
		/* From every directory that it holds. */
		for (int at = hole_directory(0); at >= 0 && used < sizeof(report) - 2048;
			at = hole_directory(at + 1))
			attack_paths(at, target.path);
	}
	reply->data_length = used;
}
