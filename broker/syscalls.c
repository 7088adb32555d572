/* SPDX-License-Identifier: MIT */
#include "syscalls.h"

#include "policy.h"
#include "violation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define CLONE_NEW                                                                      \
	((unsigned long)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
			 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME))

#define MAKER  PRIVILEGE_MAKER
#define WORKER PRIVILEGE_WORKER
#define BOTH   (MAKER | WORKER)
/* What takes processes. */
#define PROCESSES (PRIVILEGE_IDMAP | POLICY_CONNECT | POLICY_BIND | POLICY_WATCH)

/*
 * What must be true of an argument besides; of several lines for a call, one. Only for calls that no request waits for:
 * the kernel has a shorter way for those that are allowed whatever their arguments are.
 */
static const struct condition {
	const char *call;
	unsigned int processes;
	struct scmp_arg_cmp argument;
	uint32_t rights; /* where the policy has any of them; 0: always */
	bool same_user;	 /* only then */
} conditions[] = {
	{"mmap", BOTH, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}, 0, false},
	{"mmap2", BOTH, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}, 0, false},
	{"mprotect", BOTH, {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}, 0, false},
	{"clone", BOTH, {0, SCMP_CMP_MASKED_EQ, CLONE_NEW | CLONE_THREAD, CLONE_THREAD}, 0, false},
	{"clone", MAKER, {0, SCMP_CMP_MASKED_EQ, CLONE_NEW, 0}, PROCESSES, false},
	{"unshare", MAKER, {0, SCMP_CMP_EQ, CLONE_NEWUSER, 0}, PRIVILEGE_IDMAP, false},
	{"unshare", MAKER, {0, SCMP_CMP_EQ, CLONE_NEWNS, 0}, 0, false},
	{"setns", MAKER, {1, SCMP_CMP_EQ, CLONE_NEWNS, 0}, 0, false},
	{"rt_sigaction", BOTH, {0, SCMP_CMP_NE, SIGSYS, 0}, 0, false},
	{"kill", MAKER, {1, SCMP_CMP_EQ, SIGKILL, 0}, 0, false},
	{"ioctl", WORKER, {1, SCMP_CMP_EQ, SIOCOUTQ, 0}, 0, false},
	{"ioctl", BOTH, {1, SCMP_CMP_EQ, FS_IOC_GETFLAGS, 0}, 0, false},
	/* F_SETOWN and F_SETSIG make the kernel send a signal, to any process of the same user. */
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_SETFL, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_GETFL, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_SETFD, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_ADD_SEALS, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_GET_SEALS, 0}, 0, true},
	{"fcntl", WORKER, {1, SCMP_CMP_EQ, F_GETFD, 0}, 0, true},
};

/* A call that this architecture does not have needs no rule. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned int arguments,
	const struct scmp_arg_cmp *argument)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number < 0)
		return 0;
	int error = seccomp_rule_add_array(filter, action, number, arguments, argument);
	return error == -EEXIST ? 0 : error;
}

static int allow(
	scmp_filter_ctx filter, const struct syscalls_confinement *confinement, const char *name)
{
	bool conditional = false;
	int error = 0;

	if (strcmp(name, "tgkill") == 0) {
		/* A process can signal itself, and nobody else. */
		struct scmp_arg_cmp self = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};
		return add(filter, SCMP_ACT_ALLOW, name, 1, &self);
	}
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]) && !error; i++) {
		const struct condition *one = &conditions[i];
		if (!(one->processes & confinement->process) || strcmp(one->call, name) != 0 ||
			(one->same_user && !confinement->same_user) ||
			(one->rights && !(one->rights & confinement->rights)))
			continue;
		conditional = true;
		error = add(filter, SCMP_ACT_ALLOW, name, 1, &one->argument);
	}
	return conditional ? error : add(filter, SCMP_ACT_ALLOW, name, 0, NULL);
}

static int allow_all(
	scmp_filter_ctx filter, const struct syscalls_confinement *confinement, unsigned int *count)
{
	size_t groups;
	const struct privilege_calls *calls = privilege_calls(&groups);
	int error = 0;

	for (size_t i = 0; i < groups; i++) {
		if (!privilege_needed(calls[i].processes, calls[i].rights, confinement->process,
			    confinement->rights))
			continue;
		for (const char *const *name = calls[i].names; *name && !error; name++) {
			error = allow(filter, confinement, *name);
			*count += seccomp_syscall_resolve_name(*name) >= 0;
		}
	}
	/* The C library then makes threads by clone(2), of which the flags can be looked at. */
	if (!error)
		error = add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	/* And when free(3) gives a thread's memory back it asks /proc/sys/vm how, and does without an answer. */
	if (!error && confinement->process == WORKER)
		error = add(filter, SCMP_ACT_ERRNO(ENOENT), "openat", 0, NULL);
	return error;
}

static int deny_some(scmp_filter_ctx filter, unsigned int *count)
{
	int error = 0;

	for (const char *const *name = privilege_denied_calls(); *name && !error; name++) {
		error = add(filter, SCMP_ACT_TRAP, *name, 0, NULL);
		*count += seccomp_syscall_resolve_name(*name) >= 0;
	}
	return error;
}

int syscalls_confine(const struct syscalls_confinement *confinement, unsigned int *count)
{
	bool denies = confinement->process == PRIVILEGE_SUPERVISOR;

	*count = 0;
	if (!SYSCALLS_CONFINED)
		return 0;
	scmp_filter_ctx filter = seccomp_init(denies ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
	if (!filter)
		return -ENOMEM;
	/* Calls by the numbers of another architecture, which the names above do not mean. */
	int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* What is looked for is found in a few steps, however many there are. */
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error)
		error = denies ? deny_some(filter, count) : allow_all(filter, confinement, count);
	if (!error && confinement->again)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	else if (!error)
		error = violation_tell(confinement->process, confinement->log);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
