/* SPDX-License-Identifier: MIT */
/* report.h: how failures are told to whoever runs the tool. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

/* Prints "fdbroker: ACTION OBJECT: Permission denied (EACCES)"; `object` may be NULL. EXIT_FAILED.
 */
int report_failure(const char *action, const char *object, int error);

/* Sees to it that all that was printed is written. `result`, or EXIT_FAILED after having said why not. */
int report_printed(const char *action, int result);

/*
 * Reports that fdbroker_connect(address) failed with `error`, why that usually is, and what could
 * be done instead. EXIT_FAILED, or EXIT_USAGE where `address` has not the form of one.
 */
int report_no_connection(const char *action, const char *address, int error);

#endif
