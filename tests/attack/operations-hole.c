/* SPDX-License-Identifier: MIT */
/*
 * The worker with a deliberate hole, never installed: the operation 99 runs what somebody who has taken the
 * worker over would try, in the worker as it is when it serves. The answer is text: a line "WHAT RESULT" each.
 */
#define operations_run real_operations_run
#include "../../broker/operations.c"
#undef operations_run

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply);

#define HOLE 99

static char report[INSPECT_DATA_MAX];
static size_t used;

static void tell(const char *what, int at, long result)
{
	used += (size_t)snprintf(report + used, sizeof(report) - used, "%s@%d %s\n", what, at,
		result < 0 ? strerrorname_np(errno) : "succeeded");
}

/* `outside` is a file of the test's beside the policy's directory, by its absolute path. */
static void attack_paths(int at, const char *outside)
{
	char up[5000];
	struct stat status;

	tell("open", at, openat(at, outside, O_RDONLY));
	tell("open writable", at, openat(at, outside, O_WRONLY));
	snprintf(up, sizeof(up), "../../../../../../../../../..%s", outside);
	tell("open up", at, openat(at, up, O_RDONLY));
	tell("open root", at, openat(at, "/proc/1/root", O_RDONLY));
	tell("stat", at, fstatat(at, outside, &status, 0));
	tell("stat up", at, fstatat(at, up, &status, 0));
	tell("chmod", at, fchmodat(at, outside, 0777, 0));
	tell("chmod up", at, fchmodat(at, up, 0777, 0));
	tell("chown", at, fchownat(at, outside, getuid(), getgid(), 0));
	tell("chown up", at, fchownat(at, up, getuid(), getgid(), 0));
	tell("create", at, openat(at, "/fdbroker-test-created", O_CREAT | O_WRONLY, 0600));
}

static void attack_machine(const char *outside)
{
	tell("mount", -1, mount("none", "/", "tmpfs", 0, NULL));
	tell("fsopen", -1, fsopen("tmpfs", 0));
	tell("setuid", -1, setresuid(0, 0, 0));
	tell("chroot", -1, chroot("/"));
	tell("ptrace the supervisor", -1, ptrace(PTRACE_ATTACH, getppid(), 0, 0));
	tell("kill the supervisor", -1, kill(getppid(), SIGTERM));
	char *arguments[] = {(char *)(uintptr_t)outside, NULL};
	tell("execute", -1, execv("/bin/sh", arguments));
}

void operations_run(struct operations *operations, const struct peer *peer, bool stranger,
	const struct request *request, struct reply *reply)
{
	char outside[4096];

	if (request->operation != HOLE) {
		real_operations_run(operations, peer, stranger, request, reply);
		return;
	}
	snprintf(outside, sizeof(outside), "%.*s", (int)request->path_length, request->path);
	*reply = (struct reply){.descriptor = -1, .data = report};
	used = 0;
	attack_paths(AT_FDCWD, outside);
	/* From every directory that it holds. */
	for (int at = 0; at < 256; at++) {
		struct stat status;
		if (fstat(at, &status) == 0 && S_ISDIR(status.st_mode) &&
			used < sizeof(report) - 2048)
			attack_paths(at, outside);
	}
	attack_machine(outside);
	reply->data_length = used;
}
