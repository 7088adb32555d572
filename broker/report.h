/* SPDX-License-Identifier: MIT */
/* report.h: how a failure is told to whoever started the daemon. */
#ifndef BROKER_REPORT_H
#define BROKER_REPORT_H

/* Prints "fdbrokerd: WHAT: Permission denied (EACCES)" to standard error. `error` is a negative errno. 1. */
int report_failure(const char *what, int error);

#endif
