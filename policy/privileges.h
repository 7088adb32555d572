/* SPDX-License-Identifier: MIT */
/*
 * privileges.h: what each process of the broker may do, and which rights of a policy make it necessary: groups of
 * system calls and capabilities. A table of names: the broker takes by it, and `fdbroker check --privileges` tells by
 * it.
 */
#ifndef POLICY_PRIVILEGES_H
#define POLICY_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum privilege_process {
	PRIVILEGE_SUPERVISOR = 1u << 0,
	PRIVILEGE_MAKER = 1u << 1, /* and the processes that it makes */
	PRIVILEGE_WORKER = 1u << 2,
};

/*
 * System calls (their names in the kernel, ending with NULL) that these processes make where the policy has any of
 * the rights, or, with 0, always. An allow-list: maker and worker make no others. The maker does not know the rights, and
 * may make the calls for all rights that there are.
 */
struct privilege_calls {
	unsigned int processes;
	uint32_t rights;
	const char *purpose; /* "to ..." */
	const char *const *names;
};
const struct privilege_calls *privilege_calls(size_t *count);

/* System calls that none of them ever makes: all that the supervisor, and whatever it executes, is denied. */
const char *const *privilege_denied_calls(void);

/* Capabilities of the supervisor and the maker, likewise; those of a worker: policy_capabilities (policy.h). */
struct privilege_capability {
	unsigned int processes;
	uint32_t rights;
	const char *name; /* "CAP_CHOWN" */
	const char *purpose;
};
const struct privilege_capability *privilege_capabilities(size_t *count);

/* Whether a process takes what is for these processes and rights, where the policy has `rights`. */
bool privilege_needed(
	unsigned int processes, uint32_t needs, enum privilege_process process, uint32_t rights);

#endif
