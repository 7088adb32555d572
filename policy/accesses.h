/* SPDX-License-Identifier: MIT */
/*
 * accesses.h: what Landlock (landlock(7)) can deny, and which rights of a policy it may not be denied for. With
 * --landlock the worker denies itself the rest, everywhere, for good: its ruleset has no rules. With rules it would
 * say where: but those belong to inodes, and a directory of the policy that is replaced while the worker runs is another
 * one. A table, as privileges.h: the broker takes by it, and `fdbroker check --privileges` tells by it.
 */
#ifndef POLICY_ACCESSES_H
#define POLICY_ACCESSES_H

#include "policy.h"

#include <stddef.h>
#include <stdint.h>

/* The last version of Landlock's interface that brought something to this table: of Linux 6.12. */
#define ACCESSES_VERSION 6

/* What is denied; the bits are those of struct landlock_ruleset_attr, which older headers have a part of. */
struct accesses {
	uint64_t files;	  /* handled_access_fs */
	uint64_t network; /* handled_access_net */
	uint64_t scopes;  /* scoped */
};

/*
 * What a kernel with that version of the interface can deny a worker whose policy has `rights` (enum policy_right). No file
 * access where one of ACCESSES_REFER is among them: whoever is denied any is denied all links and renames from one directory
 * to another, which only rules can permit.
 */
void accesses_deny(uint32_t rights, int version, struct accesses *denied);
#define ACCESSES_REFER (POLICY_CREATE | POLICY_RENAME)

/* As "execute write_file", in the kernel's words; "none". Cut to `size` bytes, of which ACCESSES_TEXT hold all. */
#define ACCESSES_TEXT 256
void accesses_print(const struct accesses *denied, char *text, size_t size);

#endif
