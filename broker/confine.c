/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include "empty.h"
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * The tmpfs is never attached to a mount namespace, and closing its descriptor dissolves it, as
 * with a view. pivot_root(2) would do as much only where the root is a mount point (in a chroot it
 * is not), and a mount namespace of the worker's own would keep every file system of the machine
 * busy.
 */
int confine_root(void)
{
	int mount = empty_mount(), error = 0;

	if (mount < 0)
		return mount;
	if (fchdir(mount) < 0 || chroot(".") < 0)
		error = -errno;
	close(mount);
	return error;
}

/* They can be left alone where, and only where, a user namespace does not let anyone change them. */
int confine_groups(void)
{
	if (setgroups(0, NULL) == 0)
		return 0;
	int error = -errno;
	char answer[8] = "";
	int file = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return error;
	ssize_t length = read(file, answer, sizeof(answer) - 1);
	close(file);
	return length > 0 && strncmp(answer, "deny", 4) == 0 ? 0 : error;
}

static int keep_capabilities(uint64_t capabilities)
{
	cap_t set = cap_init();
	int error = 0;

	if (!set)
		return -ENOMEM;
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++) {
		if (!(capabilities >> c & 1))
			continue;
		if (cap_set_flag(set, CAP_PERMITTED, 1, &c, CAP_SET) < 0 ||
			cap_set_flag(set, CAP_EFFECTIVE, 1, &c, CAP_SET) < 0)
			error = -errno;
	}
	if (!error && cap_set_proc(set) < 0)
		error = -errno;
	cap_free(set);
	return error;
}

int confine_user(uid_t uid, gid_t gid, bool alone, uint64_t capabilities)
{
	if (uid == 0 && !alone)
		return -EINVAL;
	for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return -errno;
	if (prctl(PR_SET_SECUREBITS,
		    SECBIT_KEEP_CAPS | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		    0, 0, 0) < 0 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	int error = keep_capabilities(capabilities);
	return error ? error : confine_unprivileged();
}

int confine_unprivileged(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

uint64_t confine_capabilities(uint32_t rights)
{
	const char *names[POLICY_CAPABILITIES_MAX];
	size_t count = policy_capabilities(rights, names);
	uint64_t capabilities = 0;

	for (size_t i = 0; i < count; i++) {
		cap_value_t value;

		if (cap_from_name(names[i], &value) == 0)
			capabilities |= 1ull << value;
	}
	return capabilities;
}
