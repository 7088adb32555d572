/* SPDX-License-Identifier: MIT */
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD /* Linux 6.5; not in the headers of Debian 12 */
#define SO_PEERPIDFD 77
#endif

/* ---- the supervisor's end --------------------------------------------------------------------- */

void settle_forget(struct settle_exes *exes)
{
	for (uint32_t i = 0; i < exes->count; i++)
		free(exes->paths[i]);
	exes->count = 0;
}

static int remember(struct settle_exes *exes, const struct channel_message *message)
{
	if (message->index != exes->count || exes->count == SETTLE_EXES_MAX)
		return -EPROTO;
	exes->paths[exes->count] = strdup(message->text);
	if (!exes->paths[exes->count])
		return -ENOMEM;
	exes->count++;
	return 0;
}

/* The paths are looked up anew each time: an upgrade puts another file in the place of one. */
static int name_exes(int channel, const struct settle_exes *exes, const struct process *process)
{
	struct channel_message message = {.type = CHANNEL_IDENTIFY, .descriptor = -1};
	struct stat status;

	for (uint32_t i = 0; i < exes->count; i++) {
		if (!process->has_exe || stat(exes->paths[i], &status) < 0 ||
			status.st_dev != process->device || status.st_ino != process->inode)
			continue;
		message.index = i;
		int error = channel_send(channel, &message);
		if (error)
			return error;
	}
	return 0;
}

static int identify(int channel, const struct settle_exes *exes, int pidfd)
{
	struct channel_message message = {
		.type = CHANNEL_IDENTIFY,
		.index = SETTLE_LAST,
		.descriptor = -1,
	};
	struct process process;
	int error = process_read(pidfd, &process);

	if (error) {
		message.error = -error;
	} else {
		error = name_exes(channel, exes, &process);
		if (error)
			return error;
		/* A unit's name has no newline, what a process calls itself may. */
		snprintf(message.text, sizeof(message.text), "%s\n%s", process.unit, process.comm);
	}
	return channel_send(channel, &message);
}

int settle_answer(
	int channel, bool loading, struct settle_exes *exes, const struct channel_message *message)
{
	if (message->type == CHANNEL_EXE && loading && message->descriptor < 0)
		return remember(exes, message);
	if (message->type == CHANNEL_IDENTIFY && message->descriptor >= 0)
		return identify(channel, exes, message->descriptor);
	return -EPROTO;
}

/* ---- the worker's end ------------------------------------------------------------------------- */

int settle_possible(void)
{
	int ends[2], pidfd = -1;
	socklen_t length = sizeof(pidfd);
	int error = channel_pair(ends);

	if (error)
		return error;
	if (getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		error = -errno;
	else
		close(pidfd);
	close(ends[0]);
	close(ends[1]);
	return error;
}

int settle_name_exes(int channel, const char *const *exes, size_t count)
{
	struct channel_message message = {.type = CHANNEL_EXE, .descriptor = -1};

	if (count > SETTLE_EXES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		if (strlen(exes[i]) > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
		message.index = (uint32_t)i;
		strcpy(message.text, exes[i]);
		int error = channel_send(channel, &message);
		if (error)
			return error;
	}
	return 0;
}

/* The answers, up to the last one. */
static int hear_answers(int channel, const char *const *exes, size_t count, struct settled *settled)
{
	struct channel_message message = {.descriptor = -1};

	for (;;) {
		int got = channel_receive(channel, &message);
		if (got <= 0)
			return got ? got : -ECONNRESET;
		if (message.type != CHANNEL_IDENTIFY || message.descriptor >= 0)
			return -EPROTO;
		if (message.index == SETTLE_LAST)
			break;
		if (message.index >= count || settled->exe_count == SETTLE_EXES_MAX)
			return -EPROTO;
		settled->exes[settled->exe_count++] = exes[message.index];
	}
	char *comm = strchr(message.text, '\n');
	if (!comm)
		return 0;
	*comm++ = '\0';
	if (strlen(message.text) < sizeof(settled->unit))
		strcpy(settled->unit, message.text);
	if (strlen(comm) < sizeof(settled->comm))
		strcpy(settled->comm, comm);
	return 0;
}

int settle_ask(
	int channel, int socket, const char *const *exes, size_t count, struct settled *settled)
{
	struct channel_message message = {.type = CHANNEL_IDENTIFY};
	socklen_t length = sizeof(message.descriptor);

	settled->exe_count = 0;
	settled->unit[0] = settled->comm[0] = '\0';
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &message.descriptor, &length) < 0)
		return errno == ESRCH || errno == ENODATA || errno == EINVAL ? 0 : -errno;
	int error = channel_send(channel, &message);
	close(message.descriptor);
	return error ? error : hear_answers(channel, exes, count, settled);
}
