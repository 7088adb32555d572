/* SPDX-License-Identifier: MIT */
/*
 * The worker with a deliberate hole, never installed: the operation 99 runs what somebody who has taken the
 * worker over would try, in the worker as it is when it serves. The request's flags say which: 0 looks for all that can
 * be reached with the calls that the worker has, BENEATH does what it can with the path, a name, in each directory that it
 * holds; the others are a system call each (attempts[], from 1). The path is
 * "FILE\nTYPE\nHANDLE": a file outside, by its absolute path and by its handle (open_by_handle_at(2), in hexadecimal).
 * The answer is text: a line "WHAT RESULT" each.
 */
#define operations_run real_operations_run
#include "../../broker/operations.c"
#undef operations_run

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

static void tell(const char *what, int at, long result)
{
	used += (size_t)snprintf(report + used, sizeof(report) - used, "%s@%d %s\n", what, at,
		result < 0 ? strerrorname_np(errno) : "succeeded");
}

/* A directory that the worker holds. */
static int find_directory(int from)
{
	struct stat status;

	for (int at = from; at < 256; at++)
		if (fstat(at, &status) == 0 && S_ISDIR(status.st_mode))
			return at;
	return -1;
}

static long open_path(int at, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags, .mode = flags & O_CREAT ? 0600 : 0};

	return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

/* With the calls that the worker has. */
static void attack_paths(int at, const char *outside)
{
	char up[5000];
	struct stat status;

	tell("open", at, open_path(at, outside, O_RDONLY));
	tell("open writable", at, open_path(at, outside, O_WRONLY));
	snprintf(up, sizeof(up), "../../../../../../../../../..%s", outside);
	tell("open up", at, open_path(at, up, O_RDONLY));
	tell("open root", at, open_path(at, "/proc/1/root", O_RDONLY));
	snprintf(up, sizeof(up), "/proc/%d/mem", (int)getppid());
	tell("open the supervisor's memory", at, open_path(at, up, O_RDONLY));
	snprintf(up, sizeof(up), "../../../../../../../../../..%s", outside);
	tell("stat", at, fstatat(at, outside, &status, 0));
	tell("stat up", at, fstatat(at, up, &status, 0));
	tell("create", at, open_path(at, "/fdbroker-test-created", O_CREAT | O_WRONLY));
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
		int file = (int)open_path(at, make ? "made" : name, ways[i].flags);
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
};

static long try_openat(const struct target *target)
{
	return openat(AT_FDCWD, target->path, O_RDONLY);
}

static long try_handle(const struct target *target)
{
	struct file_handle *handle = (struct file_handle *)(uintptr_t)&target->by_handle.handle;
	/* The kernel takes none that was opened with O_PATH. */
	int at = (int)open_path(find_directory(0), ".", O_RDONLY | O_DIRECTORY);

	return open_by_handle_at(at, handle, O_RDONLY);
}

static long try_chmod(const struct target *target)
{
	return fchmodat(find_directory(0), target->path, 0777, 0);
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
	ends[0] = find_directory(0);
	return fcntl(ends[0], F_SETOWN, getppid());
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
	for (hex++; count < 128 && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		bytes[count++] = (unsigned char)byte;
	target->by_handle.handle.handle_bytes = count;
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
		for (int at = find_directory(0); at >= 0 && used < sizeof(report) - 2048;
			at = find_directory(at + 1))
			attack_beneath(at, target.path);
	} else if (request->flags == 0) {
		attack_paths(AT_FDCWD, target.path);
		/* From every directory that it holds. */
		for (int at = find_directory(0); at >= 0 && used < sizeof(report) - 2048;
			at = find_directory(at + 1))
			attack_paths(at, target.path);
	}
	reply->data_length = used;
}
