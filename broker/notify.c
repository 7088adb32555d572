/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include "clock.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ms until what found no room is sent again. */
#define AGAIN 100

static void failed(struct notify *notify, int error)
{
	if (!notify->reported)
		report_failure("telling the service manager ($NOTIFY_SOCKET)", error);
	notify->reported = true;
}

static int read_address(struct notify *notify, const char *text)
{
	size_t length = strlen(text);

	if ((text[0] != '@' && text[0] != '/') || !text[1])
		return -EAFNOSUPPORT;
	if (length >= sizeof(notify->address.sun_path))
		return -ENAMETOOLONG;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, text, length + 1);
	if (text[0] == '@')
		notify->address.sun_path[0] = '\0';
	else
		length++;
	notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

static int64_t read_watchdog(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;

	if (!text || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	errno = 0;
	unsigned long long wanted = strtoull(text, &end, 10);
	if (errno || *end || end == text || !wanted || wanted > INT64_MAX)
		return 0;
	/* Half of it, in ms. */
	int64_t pause = (int64_t)(wanted / 2000);
	return pause ? pause : 1;
}

void notify_init(struct notify *notify)
{
	const char *address = getenv("NOTIFY_SOCKET");
	int error;

	*notify = (struct notify){.socket = -1};
	if (!address || !*address)
		return;
	error = read_address(notify, address);
	if (!error) {
		notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (notify->socket < 0)
			error = -errno;
	}
	if (error) {
		notify->length = 0;
		failed(notify, error);
		return;
	}
	notify->watchdog = read_watchdog();
}

void notify_clean_environment(void)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* 0 or a negative errno; -EAGAIN where there is no room. */
static int send_now(struct notify *notify, const char *text)
{
	ssize_t sent;

	do
		sent = sendto(notify->socket, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
			(struct sockaddr *)&notify->address, notify->length);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* The first to fail for want of room stays, with all that come after it. */
static void send_waiting(struct notify *notify)
{
	while (notify->waiting) {
		size_t length = strlen(notify->text) + 1;
		int error = send_now(notify, notify->text);
		if (error == -EAGAIN)
			return;
		if (error)
			failed(notify, error);
		notify->waiting -= length;
		memmove(notify->text, notify->text + length, notify->waiting);
	}
}

static void tell(struct notify *notify, const char *text)
{
	size_t length = strlen(text) + 1;

	if (!notify->length)
		return;
	send_waiting(notify);
	if (length > sizeof(notify->text) - notify->waiting) {
		failed(notify, -ENOBUFS);
		return;
	}
	memcpy(notify->text + notify->waiting, text, length);
	notify->waiting += length;
	send_waiting(notify);
}

/* A line feed in it would begin another assignment. */
static void tell_status(struct notify *notify, const char *before, const char *text)
{
	char message[256];
	int used = snprintf(message, sizeof(message), "%sSTATUS=", before);

	snprintf(message + used, sizeof(message) - (size_t)used, "%s", text);
	for (char *at = message + used; (at = strchr(at, '\n'));)
		*at = ' ';
	tell(notify, message);
}

void notify_ready(struct notify *notify, const char *summary)
{
	tell_status(notify, "READY=1\n", summary);
}

void notify_reloading(struct notify *notify)
{
	struct timespec now;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	tell(notify, text);
}

void notify_stopping(struct notify *notify)
{
	tell(notify, "STOPPING=1");
}

void notify_status(struct notify *notify, const char *text)
{
	tell_status(notify, "", text);
}

int notify_turn(struct notify *notify, bool well)
{
	int64_t now, wait = -1;

	if (!notify->length)
		return -1;
	send_waiting(notify);
	now = clock_ms();
	/* One for which there is no room is as good as one that was sent: there is plenty to read. */
	if (notify->watchdog && well && notify->due <= now) {
		int error = send_now(notify, "WATCHDOG=1");
		if (error && error != -EAGAIN)
			failed(notify, error);
		notify->due = now + notify->watchdog;
	}
	if (notify->watchdog && well)
		wait = notify->due - now;
	if (notify->waiting && (wait < 0 || wait > AGAIN))
		wait = AGAIN;
	return wait > INT32_MAX ? INT32_MAX : (int)wait;
}

void notify_close(struct notify *notify)
{
	send_waiting(notify);
	if (notify->socket >= 0)
		close(notify->socket);
	notify->socket = -1;
	notify->length = 0;
}
