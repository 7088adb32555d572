/* SPDX-License-Identifier: MIT */
/*
 * destination.h: where the record goes (`--log`): standard error, a file, or the journal. Supervisor and worker
 * each open it at their start; later the supervisor alone can (the worker has no path to anything).
 */
#ifndef BROKER_DESTINATION_H
#define BROKER_DESTINATION_H

#include <stdbool.h>

/*
 * Opens what `log` names: NULL, standard error; "journal" or "journal:/PATH", the journal's socket; else a file,
 * appended to. A descriptor that never waits for a reader, or a negative errno.
 */
int destination_open(const char *log);

/* Whether it is the journal, so that entries go there and not lines (audit_use_journal). */
bool destination_is_journal(const char *log);

/* What `log` is called in a message: "standard error", or what stands behind --log. */
const char *destination_name(const char *log);

/*
 * Puts `fresh` in the place of the descriptor `log` at one stroke, whoever writes to it meanwhile, and closes the
 * other name of it.
 */
void destination_replace(int log, int fresh);

#endif
