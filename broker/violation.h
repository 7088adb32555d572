/* SPDX-License-Identifier: MIT */
/*
 * violation.h: says which system call a process is ended for (syscalls.h).
 */
#ifndef BROKER_VIOLATION_H
#define BROKER_VIOLATION_H

#include "privileges.h"

/*
 * From now on SIGSYS writes a line to the record `log`, which names the call, and ends the process by that signal. 0 or
 * a negative errno.
 */
int violation_tell(enum privilege_process process, int log);

#endif
