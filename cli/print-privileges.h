/* SPDX-License-Identifier: MIT */
/* print-privileges.h: what the processes of the daemon get for a policy, as a person and as a program reads it. */
#ifndef CLI_PRINT_PRIVILEGES_H
#define CLI_PRINT_PRIVILEGES_H

#include "policy.h"

/*
 * Prints the rights of the policy, and each capability and group of system calls with the rule that makes it
 * necessary.
 */
void print_privileges(const struct policy *policy);

/* The same as one JSON object, on a line. */
void print_privileges_json(const struct policy *policy);

/* The rights that call for a capability of the worker. */
uint32_t privileges_served(const char *capability);

#endif
