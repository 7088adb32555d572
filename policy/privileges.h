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

struct policy;
struct policy_rule_place;

enum privilege_process {
	PRIVILEGE_SUPERVISOR = 1u << 0,
	PRIVILEGE_MAKER = 1u << 1, /* and the processes that it makes */
	PRIVILEGE_WORKER = 1u << 2,
};

/* What calls for privileges besides rights, in one word with them (enum policy_right). */
enum privilege_need {
	PRIVILEGE_IDMAP = 1u << 27,	   /* ids of trees are mapped */
	PRIVILEGE_DEVICE = 1u << 28,	   /* devices are opened */
	PRIVILEGE_WRITE_DEVICE = 1u << 29, /* for writing */
	PRIVILEGE_IDENTIFY = 1u << 30,	   /* callers are told apart by their program or unit */
	PRIVILEGE_LOADING = 1u << 31,	   /* the policy is not known yet */
};
#define PRIVILEGE_EVERYTHING (~UINT32_C(0))

/* The rights that the policy grants, and what else it calls for. */
uint32_t privilege_needs(const struct policy *policy);

/* The first rule, or line of a subject, that calls for one of these. False where none does. */
bool privilege_rule(const struct policy *policy, uint32_t needs, struct policy_rule_place *place);

/*
 * System calls (their names in the kernel, ending with NULL) that these processes make where the policy has any of
 * the rights or needs, or, with 0, always. An allow-list: maker and worker make no others. The maker may make all of them
 * until the worker has loaded and tells it what the policy calls for.
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

/* Whether a process takes what is for these processes and needs, where the policy calls for `rights`. */
bool privilege_needed(
	unsigned int processes, uint32_t needs, enum privilege_process process, uint32_t rights);

#endif
