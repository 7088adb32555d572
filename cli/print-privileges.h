/* SPDX-License-Identifier: MIT */
/* print-privileges.h: what the processes of the daemon get for a policy, as a person reads it. */
#ifndef CLI_PRINT_PRIVILEGES_H
#define CLI_PRINT_PRIVILEGES_H

#include "policy.h"

/*
 * Prints the rights of the policy, and each capability and group of system calls with the rule that makes it
 * necessary.
 */
void print_privileges(const struct policy *policy);

#endif
