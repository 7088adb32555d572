/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include "empty.h"
#include "policy.h"
#include "syscalls.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdio.h>
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

/* No way to gain privileges by executing anything, and nobody without them looks into this process. */
static int close_in(void)
{
	/* The leak sanitizer looks into its own process. */
	bool dumpable = !SYSCALLS_CONFINED;

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			       prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0
		       ? -errno
		       : 0;
}

/* Becomes: just these, and to be inherited just those. */
static int keep_capabilities(uint64_t capabilities, uint64_t inherited)
{
	cap_t set = cap_init();
	int error = 0;

	if (!set)
		return -ENOMEM;
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++) {
		if ((inherited >> c & 1) && cap_set_flag(set, CAP_INHERITABLE, 1, &c, CAP_SET) < 0)
			error = -errno;
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

/* Leaves nothing but these in the bounding set: 0, or -EPERM where that takes CAP_SETPCAP. */
static int limit_capabilities(uint64_t capabilities)
{
	for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if ((c >= 64 || !(capabilities >> c & 1)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static uint64_t capability_of(const char *name)
{
	cap_value_t value;

	return cap_from_name(name, &value) == 0 ? 1ull << value : 0;
}

int confine_user(uid_t uid, gid_t gid, bool alone, uint64_t capabilities)
{
	if (uid == 0 && !alone)
		return -EINVAL;
	int error = limit_capabilities(0);
	if (error)
		return error;
	if (prctl(PR_SET_SECUREBITS,
		    SECBIT_KEEP_CAPS | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		    0, 0, 0) < 0 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	error = keep_capabilities(capabilities, 0);
	return error ? error : close_in();
}

/* Those of `capabilities` that this process is permitted. */
static int find_permitted(uint64_t capabilities, uint64_t *permitted)
{
	cap_t set = cap_get_proc();
	cap_flag_value_t value;

	*permitted = 0;
	if (!set)
		return -errno;
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++)
		if ((capabilities >> c & 1) && cap_get_flag(set, c, CAP_PERMITTED, &value) == 0 &&
			value == CAP_SET)
			*permitted |= 1ull << c;
	cap_free(set);
	return 0;
}

int confine_same_user(uint64_t capabilities)
{
	uint64_t permitted;
	int error = find_permitted(capabilities, &permitted);

	if (!error)
		error = limit_capabilities(0);
	/* Without CAP_SETPCAP it stays as it is; with no_new_privs it says nothing any more. */
	if (!error || error == -EPERM)
		error = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ? -errno : 0;
	if (!error)
		error = keep_capabilities(permitted, 0);
	return error ? error : close_in();
}

static uint64_t capabilities_for(enum privilege_process process, uint32_t needs)
{
	size_t count;
	const struct privilege_capability *all = privilege_capabilities(&count);
	uint64_t capabilities = 0;

	for (size_t i = 0; i < count; i++)
		if (privilege_needed(all[i].processes, all[i].rights, process, needs))
			capabilities |= capability_of(all[i].name);
	return capabilities;
}

int confine_maker(uint32_t needs)
{
	uint64_t permitted;
	int error = find_permitted(capabilities_for(PRIVILEGE_MAKER, needs), &permitted);

	return error ? error : keep_capabilities(permitted, 0);
}

int confine_capable(enum privilege_process process)
{
	bool supervisor = process == PRIVILEGE_SUPERVISOR;
	uint64_t capabilities = capabilities_for(process, PRIVILEGE_EVERYTHING), permitted;
	int error = find_permitted(capabilities, &permitted);
	if (!error)
		error = limit_capabilities(supervisor ? capabilities : 0);
	if (!error || error == -EPERM)
		error = keep_capabilities(permitted, supervisor ? permitted : 0);
	/* Root's go to whomever it executes, another user's only so. */
	for (int c = 0; !error && supervisor && geteuid() != 0 && c <= CAP_LAST_CAP; c++)
		if (permitted >> c & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
	return error ? error : close_in();
}

void confine_describe(char *text, size_t size)
{
	cap_t set = cap_get_proc();
	cap_flag_value_t value;
	size_t used = 0;

	snprintf(text, size, "none");
	for (cap_value_t c = 0; set && c <= CAP_LAST_CAP; c++) {
		char *name = cap_get_flag(set, c, CAP_EFFECTIVE, &value) == 0 && value == CAP_SET
				     ? cap_to_name(c)
				     : NULL;
		if (!name)
			continue;
		for (char *at = name; *at; at++)
			*at = (char)toupper((unsigned char)*at);
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " " : "", name);
		if (used >= size)
			used = size - 1;
		cap_free(name);
	}
	if (set)
		cap_free(set);
}

uint64_t confine_capabilities(uint32_t rights)
{
	const char *names[POLICY_CAPABILITIES_MAX];
	size_t count = policy_capabilities(rights, names);
	uint64_t capabilities = 0;

	for (size_t i = 0; i < count; i++)
		capabilities |= capability_of(names[i]);
	return capabilities;
}
