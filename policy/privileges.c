/* SPDX-License-Identifier: MIT */
#include "privileges.h"

#include "policy.h"
#include "query.h"

#define MAKER	  PRIVILEGE_MAKER
#define WORKER	  PRIVILEGE_WORKER
#define BOTH	  (MAKER | WORKER)
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
/* What is done in the name of the caller, by a process of the maker's. */
#define BEHALF (POLICY_CONNECT | POLICY_BIND | POLICY_WATCH)

/*
 * All are seen while the tests run (tests/syscalls), but for those that have a reason here to stand there all the same. Where
 * the C library has two ways for one thing, by architecture or version, both are named: poll and ppoll, epoll_wait and
 * epoll_pwait, dup2 and dup3, and fstat, stat and newfstatat; and renameat2 is renameat where there are no flags.
 */
static const struct privilege_calls calls[] = {
	/* mremap is for realloc(3) of what is large. */
	{BOTH, 0, "to use memory, never to make any executable",
		LIST("brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise")},
	/* malloc(3) asks how many processors there are when threads are in each other's way; restart_syscall is the kernel's,
	 * for what was stopped while it waited. */
	{BOTH, 0, "to run threads of its own",
		LIST("clone", "futex", "futex_time64", "set_robust_list", "rseq", "rt_sigprocmask",
			"rt_sigaction", "sched_getaffinity", "exit", "exit_group",
			"restart_syscall", "pause")},
	{BOTH, 0, "to know who it is", LIST("getpid", "getppid", "geteuid", "geteuid32")},
	{WORKER, 0, "to interrupt a thread of its own that waits", LIST("rt_sigreturn")},
	/* Nothing has it abort but a mistake that is found. */
	{BOTH, 0, "to abort, by a signal to itself alone", LIST("gettid", "tgkill")},
	/* The time is read without the kernel where its page for that (vdso(7)) has a clock. */
	{BOTH, 0, "to know the time, and to wait",
		LIST("clock_gettime", "clock_gettime64", "poll", "ppoll", "ppoll_time64")},
	{WORKER, 0, "to wait for many clients",
		LIST("epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2")},
	{BOTH, 0, "to read and write what is open",
		LIST("read", "write", "lseek", "_llseek", "close", "fcntl", "fcntl64")},
	{WORKER, 0, "to put the record's new file in the old one's place", LIST("dup3")},
	/* The maker's sendto is that of the line which names a forbidden call (broker/violation.c). */
	{BOTH, 0, "to send and receive over sockets that it has",
		LIST("sendmsg", "recvmsg", "sendto", "getsockopt")},
	{WORKER, 0, "to end connections of clients, and to know what is left in them",
		LIST("setsockopt", "shutdown", "ioctl")},
	{BOTH, 0, "to find beneath a directory, and to look at what is open",
		LIST("openat2", "fstat", "fstat64", "newfstatat", "fstatat64", "statx", "fstatfs",
			"fstatfs64", "readlinkat")},
	{WORKER, POLICY_LIST, "to list a directory", LIST("getdents64")},
	{WORKER, POLICY_CREATE | POLICY_MKDIR, "to give what is new to its owner",
		LIST("fchown", "fchown32", "fchownat")},
	{WORKER, POLICY_CREATE | POLICY_MKDIR | POLICY_DELETE, "to remove", LIST("unlinkat")},
	{WORKER, POLICY_MKDIR, "to make directories", LIST("mkdirat")},
	{WORKER, POLICY_CREATE, "to make symbolic links and links", LIST("symlinkat", "linkat")},
	{WORKER, POLICY_RENAME, "to rename", LIST("renameat", "renameat2")},
	{WORKER, POLICY_WRITE | POLICY_MKDIR, "to change modes of what is open", LIST("fchmod")},
	{WORKER, POLICY_WRITE, "to change times of what is open",
		LIST("utimensat", "utimensat_time64")},
	{MAKER, 0, "to make views: private mounts of directories",
		LIST("open_tree", "mount_setattr", "inotify_init1", "inotify_add_watch",
			"inotify_rm_watch", "openat", "ioctl")},
	{MAKER, 0, "to keep each view in a mount namespace of its own, beside nothing",
		LIST("mount", "umount2", "fsopen", "fsconfig", "fsmount", "move_mount",
			"pivot_root", "setns", "unshare", "fchdir", "prlimit64")},
	{MAKER, 0, "to wait for another of its threads: one that forks, or one that watches",
		LIST("clock_nanosleep", "clock_nanosleep_time64", "sched_yield")},
	{MAKER, 0, "to give up capabilities", LIST("capget", "capset")},
	{MAKER, PRIVILEGE_LOADING, "to give up system calls", LIST("seccomp", "prctl")},
	{MAKER, BEHALF | PRIVILEGE_IDENTIFY, "to see which sockets are clients'", LIST("pread64")},
	{MAKER, PRIVILEGE_IDENTIFY, "to find out what a client runs", LIST("stat", "stat64")},
	{MAKER, PRIVILEGE_IDMAP | BEHALF,
		"to make short-lived processes: user namespaces, and what is done as a caller",
		LIST("wait4", "waitid", "kill", "pipe2", "prctl", "close_range")},
	/* Or to be him already, which a broker without privileges looks at. */
	{MAKER, BEHALF, "to become a caller",
		LIST("setgroups", "setgroups32", "setresuid", "setresuid32", "setresgid",
			"setresgid32", "dup2", "dup3", "socketpair", "getsockname", "getpeername",
			"prlimit64", "getuid", "getuid32", "getegid", "getegid32")},
	{MAKER, POLICY_CONNECT | POLICY_BIND, "to make sockets as a caller",
		LIST("socket", "connect", "bind", "setsockopt", "fchdir", "fchmod", "umask",
			"setfsuid", "setfsuid32", "setfsgid", "setfsgid32")},
};

static const char *const denied[] = {
	/* Files by a handle: past every directory and mount. */
	"open_by_handle_at",
	/* The kernel itself. */
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf",
	"perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"iopl", "ioperm", "syslog", "vmsplice", "add_key", "request_key", "keyctl",
	"lookup_dcookie",
	/* Other processes. */
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
	"move_pages", "migrate_pages", "personality",
	/* The machine. */
	"reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "settimeofday",
	"clock_settime", "clock_settime64", "adjtimex", "clock_adjtime", "clock_adjtime64",
	"sethostname", "setdomainname", "nfsservctl", "vhangup", "fanotify_init", "fanotify_mark",
	"mknod", "mknodat", NULL};

#define OF(processes) (PRIVILEGE_SUPERVISOR | (processes))

static const struct privilege_capability capabilities[] = {
	{OF(MAKER), 0, "CAP_SYS_ADMIN",
		"views and the worker's empty root are mounts; network namespaces"},
	{OF(MAKER), 0, "CAP_SYS_CHROOT",
		"the worker enters its empty root; each view has a mount namespace"},
	{OF(0), 0, "CAP_SETPCAP", "the worker's bounding set becomes empty"},
	{OF(0), 0, "CAP_KILL", "a worker of another user is ended"},
	{OF(0), 0, "CAP_SETUID", "the worker becomes another user"},
	{OF(0), 0, "CAP_SETGID", "the worker becomes another user"},
	{OF(MAKER), 0, "CAP_DAC_READ_SEARCH", "directories of the policy, wherever they are"},
	{OF(0), POLICY_PATH_RIGHTS, "CAP_DAC_OVERRIDE",
		"listening sockets and the record, wherever they are; the worker may have it"},
	{OF(0), POLICY_PATH_RIGHTS, "CAP_CHOWN", "--group; the worker may have it"},
	{OF(0), POLICY_PATH_RIGHTS, "CAP_FOWNER", "--mode; the worker may have it"},
	{OF(0), 0, "CAP_SYS_PTRACE", "the maker may have it"},
	{MAKER, PRIVILEGE_IDENTIFY | PRIVILEGE_IDMAP, "CAP_SYS_PTRACE",
		"which program another user's process runs; user namespaces of trees"},
	{MAKER, PRIVILEGE_WRITE_DEVICE, "CAP_DAC_OVERRIDE", "devices are opened for writing"},
	{MAKER, PRIVILEGE_IDMAP | BEHALF, "CAP_SETUID", "user namespaces of trees; callers"},
	{MAKER, PRIVILEGE_IDMAP | BEHALF, "CAP_SETGID", "user namespaces of trees; callers"},
	{OF(MAKER), PRIVILEGE_IDMAP, "CAP_SETFCAP", "a user namespace that has root's uid"},
	{MAKER, BEHALF, "CAP_SETPCAP", "becoming a caller, with what that takes"},
	{MAKER, BEHALF, "CAP_KILL", "a process that has become a caller is ended"},
	{MAKER, BEHALF, "CAP_DAC_OVERRIDE", "sockets, wherever they are"},
	{OF(MAKER), POLICY_BIND, "CAP_NET_BIND_SERVICE", "ports below 1024"},
};

const struct privilege_calls *privilege_calls(size_t *count)
{
	*count = sizeof(calls) / sizeof(calls[0]);
	return calls;
}

const char *const *privilege_denied_calls(void)
{
	return denied;
}

const struct privilege_capability *privilege_capabilities(size_t *count)
{
	*count = sizeof(capabilities) / sizeof(capabilities[0]);
	return capabilities;
}

/* What a rule calls for that adds types of files. */
static uint32_t needs_of_types(uint32_t types, uint32_t rights)
{
	if (!(types & (POLICY_TYPE_CHARDEV | POLICY_TYPE_BLOCKDEV)))
		return 0;
	return PRIVILEGE_DEVICE | (rights & POLICY_WRITING_RIGHTS ? PRIVILEGE_WRITE_DEVICE : 0);
}

/* The first tree whose ids are mapped, or NULL. */
static const struct policy_tree *find_mapped(const struct policy *policy)
{
	size_t count;
	const struct policy_tree *trees = policy_trees(policy, &count);

	for (size_t i = 0; i < count; i++)
		if (trees[i].idmap)
			return &trees[i];
	return NULL;
}

uint32_t privilege_needs(const struct policy *policy)
{
	struct policy_summary summary;
	size_t count, exes;
	const struct policy_directory *directories = policy_directories(policy, &count);

	policy_summarize(policy, &summary);
	policy_exes(policy, &exes);
	uint32_t needs = summary.rights;
	if (exes || policy_wants_unit(policy))
		needs |= PRIVILEGE_IDENTIFY;
	if (find_mapped(policy))
		needs |= PRIVILEGE_IDMAP;
	/* As the views go by: of a directory, not of a rule. */
	for (size_t i = 0; i < count; i++)
		needs |= needs_of_types(
			directories[i].types, directories[i].rights | directories[i].exec_rights);
	return needs;
}

/* The first subject whose callers are told apart by what they run. */
static bool find_identifying(const struct policy *policy, struct policy_rule_place *place)
{
	const struct policy_identity nothing = {0};
	struct policy_subject_match match;
	struct policy_summary summary;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < summary.subjects; i++) {
		policy_subject_match(policy, i, &nothing, &match);
		if (!(match.mismatch & (POLICY_MISMATCH_EXE | POLICY_MISMATCH_UNIT)))
			continue;
		*place = match.place;
		return true;
	}
	return false;
}

bool privilege_rule(const struct policy *policy, uint32_t needs, struct policy_rule_place *place)
{
	struct policy_summary summary;
	struct policy_rule_info rule;

	policy_summarize(policy, &summary);
	for (size_t i = 0; i < summary.rules; i++) {
		policy_rule_get(policy, i, &rule);
		if (rule.deny || !((rule.rights | needs_of_types(rule.types, rule.rights)) & needs))
			continue;
		*place = rule.place;
		return true;
	}
	const struct policy_tree *mapped = find_mapped(policy);
	if (mapped && (needs & PRIVILEGE_IDMAP)) {
		*place = (struct policy_rule_place){.file = mapped->file, .line = mapped->line};
		return true;
	}
	return (needs & PRIVILEGE_IDENTIFY) && find_identifying(policy, place);
}

bool privilege_needed(
	unsigned int processes, uint32_t needs, enum privilege_process process, uint32_t rights)
{
	if (!(processes & process))
		return false;
	/* It knows no policy. */
	if (process == PRIVILEGE_SUPERVISOR)
		rights = PRIVILEGE_EVERYTHING;
	return !needs || (needs & rights);
}
