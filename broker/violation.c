/* SPDX-License-Identifier: MIT */
/*
 * The handler runs wherever the process was, be it within audit.c or malloc(3): so it uses nothing but a buffer of
 * its own and async-signal-safe functions (signal-safety(7)), and what is known beforehand has been prepared.
 */
#include "violation.h"

#include "audit.h"
#include "journal.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Numbers of system calls that have a name here; there are fewer than 500. */
#define CALLS 600

static struct {
	int log;
	bool journal;
	const char *process;
	char *names[CALLS];
} known;

/* ---- text ------------------------------------------------------------------------------------- */

static char *put_text(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	return at + length;
}

static char *put_number(char *at, long number, int digits)
{
	char text[24];
	size_t used = sizeof(text);

	do
		text[--used] = (char)('0' + number % 10);
	while ((number /= 10) || (int)(sizeof(text) - used) < digits);
	memcpy(at, text + used, sizeof(text) - used);
	return at + sizeof(text) - used;
}

/* gmtime_r(3) takes a lock. The years are counted from March, so that the leap day is the last one. */
static char *put_time(char *at)
{
	static const char *const marks[] = {"-", "-", "T", ":", ":", "."};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	long days = now.tv_sec / 86400 + 719468, rest = now.tv_sec % 86400;
	long era = days / 146097, day = days % 146097;
	long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	long month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	month += month < 10 ? 3 : -9;
	year += 400 * era + (month <= 2);
	const long parts[] = {
		year, month, day + 1, rest / 3600, rest / 60 % 60, rest % 60, now.tv_nsec / 1000};
	for (size_t i = 0; i < 7; i++) {
		at = put_number(at, parts[i], i == 0 ? 4 : i == 6 ? 6 : 2);
		at = put_text(at, i < 6 ? marks[i] : "Z");
	}
	return at;
}

/* ---- the line --------------------------------------------------------------------------------- */

static char *put_field(char *at, const char *name, const char *value)
{
	at = put_text(at, known.journal ? "FDBROKER_" : ",\"");
	for (; *name; name++)
		*at++ = known.journal ? (char)(*name & ~0x20) : *name;
	at = put_text(at, known.journal ? "=" : "\":\"");
	at = put_text(at, value);
	return put_text(at, known.journal ? "\n" : "\"");
}

static char *put_integer(char *at, const char *name, long value)
{
	at = put_text(at, known.journal ? "FDBROKER_" : ",\"");
	for (; *name; name++)
		*at++ = known.journal ? (char)(*name & ~0x20) : *name;
	at = put_text(at, known.journal ? "=" : "\":");
	at = put_number(at, value, 1);
	return put_text(at, known.journal ? "\n" : "");
}

static void write_line(int number)
{
	static char line[1024];
	const char *name = number >= 0 && number < CALLS && known.names[number]
				   ? known.names[number]
				   : "unknown";
	char *at = line;

	if (known.journal)
		at = put_text(at, "PRIORITY=3\nSYSLOG_IDENTIFIER=fdbrokerd\nMESSAGE=violation: a "
				  "forbidden system call\nFDBROKER_TIME=");
	else
		at = put_text(at, "{\"time\":\"");
	at = put_time(at);
	at = put_text(at, known.journal ? "\n" : "\"");
	at = put_field(at, "event", "violation");
	at = put_field(at, "verdict", "error");
	at = put_field(at, "process", known.process);
	at = put_integer(at, "pid", getpid());
	at = put_field(at, "call", name);
	at = put_integer(at, "number", number);
	at = put_field(at, "reason", "a system call that this process never makes");
	at = put_text(at, known.journal ? "" : "}\n");
	size_t length = (size_t)(at - line);
	if (send(known.log, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ENOTSOCK &&
		write(known.log, line, length) < 0)
		return; /* there is nobody to tell */
}

/* While the handler runs the signal is blocked: the next such call is the kernel's matter, and the end. */
static void handle(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	write_line(info->si_syscall);
	syscall(SYS_ptrace, -1, 0, 0, 0);
	_exit(1); /* it was somebody's kill(2), and there is no filter */
}

int violation_tell(enum privilege_process process, int log)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
	sigset_t signals;

	known.log = log;
	known.journal = audit_is_journal(log);
	known.process = process == PRIVILEGE_WORKER  ? "worker"
			: process == PRIVILEGE_MAKER ? "maker"
						     : "supervisor";
	for (int i = 0; i < CALLS; i++)
		known.names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	sigfillset(&action.sa_mask);
	sigemptyset(&signals);
	sigaddset(&signals, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &signals, NULL) < 0)
		return -errno;
	return 0;
}
