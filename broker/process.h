/* SPDX-License-Identifier: MIT */
/*
 * process.h: what a client's process is, for the `exe` and `unit` lines of a policy. The supervisor's: it takes
 * /proc, which the worker does not have, and CAP_SYS_PTRACE for another user's process.
 *
 * A process is named by a pidfd (SO_PEERPIDFD, Linux 6.5): a number could be another's by now. What is read
 * counts only if the process still lives after the reading.
 */
#ifndef BROKER_PROCESS_H
#define BROKER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Bytes, with the NUL; a unit's name has at most 255 (systemd.unit(5)). */
#define PROCESS_UNIT_MAX 256
/* Bytes, with the NUL (PR_SET_NAME, prctl(2)). */
#define PROCESS_COMM_MAX 16

struct process {
	bool has_exe;
	dev_t device; /* of the file that it runs: never the text of its link, which a mount */
	ino_t inode;  /* namespace of its own makes read as anything */
	char unit[PROCESS_UNIT_MAX]; /* "" where it has none */
	char comm[PROCESS_COMM_MAX]; /* what it calls itself, any bytes, for the record only */
};

/* Finds out about the process of `pidfd`. 0; -ESRCH where it is gone; another negative errno. */
int process_read(int pidfd, struct process *process);

/*
 * The unit in the text of /proc/PID/cgroup: the outermost component of the path that ends in .service or
 * .scope, in the unified hierarchy or, where that names none, in the one called name=systemd. What is further
 * in could have been made by the process itself. Writes "" where there is none.
 */
void process_find_unit(const char *text, char unit[PROCESS_UNIT_MAX]);

#endif
