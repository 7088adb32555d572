/* SPDX-License-Identifier: MIT */
#include "become.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reaching the socket's directory and the socket, ports below 1024, and the owner of a socket's file. */
#define KEPT                                                                           \
	(1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_SETUID | \
		1ull << CAP_SETGID | 1ull << CAP_NET_BIND_SERVICE)

/* Gives up all capabilities but those of KEPT that there are. */
static int keep_few(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (unsigned int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(KEPT >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int change_ids(const struct identity *identity)
{
	/* Else the capabilities would go with the uid 0 (capabilities(7)). */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 &&
		geteuid() == 0)
		return -errno;
	if (syscall(SYS_setgroups, identity->group_count, identity->groups) < 0 ||
		syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
		syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0)
		return -errno;
	return 0;
}

int become(const struct identity *identity, pid_t parent)
{
	int error = change_ids(identity);

	/* A broker without privileges is nobody else, and serves none but its own user. */
	if (error == -EPERM && getuid() == identity->uid && geteuid() == identity->uid &&
		getegid() == identity->gid)
		error = 0;
	if (!error)
		error = keep_few();
	if (error)
		return error;
	/* The change of ids has cleared both (prctl(2)). */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* Of an end before that nobody tells. */
	if (getppid() != parent)
		return -ESRCH;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}
