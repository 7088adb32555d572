/* SPDX-License-Identifier: MIT */
#include "settle.h"

#include "vouch.h"

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

/* ---- the maker's end -------------------------------------------------------------------------- */

void settle_init(struct settle_exes *exes)
{
	pthread_mutex_init(&exes->mutex, NULL);
}

int settle_remember(struct settle_exes *exes, const struct channel_message *message)
{
	if (message->index != exes->count || exes->count == SETTLE_EXES_MAX)
		return -EPROTO;
	exes->list[exes->count].path = strdup(message->text);
	if (!exes->list[exes->count].path)
		return -ENOMEM;
	exes->count++;
	return 0;
}

/*
 * Looks the path up anew, as an upgrade puts another file in the place of one. While another thread does that, which
 * may hang, it is what it was: what hangs cannot be replaced.
 */
static void look_up(struct settle_exes *exes, struct settle_exe *exe)
{
	struct stat status;

	pthread_mutex_lock(&exes->mutex);
	bool ask = !exe->asked && exes->asking < SETTLE_HANGING_MAX;
	if (ask) {
		exe->asked = true;
		exes->asking++;
		pthread_mutex_unlock(&exes->mutex);
		bool found = stat(exe->path, &status) == 0;
		pthread_mutex_lock(&exes->mutex);
		exe->asked = false;
		exes->asking--;
		exe->known = found;
		exe->device = status.st_dev;
		exe->inode = status.st_ino;
	}
	pthread_mutex_unlock(&exes->mutex);
}

static bool is_exe(struct settle_exes *exes, struct settle_exe *exe, const struct process *process)
{
	look_up(exes, exe);
	pthread_mutex_lock(&exes->mutex);
	bool same = exe->known && exe->device == process->device && exe->inode == process->inode;
	pthread_mutex_unlock(&exes->mutex);
	return same;
}

static int write_exes(
	struct settle_exes *exes, const struct process *process, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; process->has_exe && i < exes->count; i++) {
		if (!is_exe(exes, &exes->list[i], process))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%u", used ? " " : "", i);
		if (used >= size)
			return -E2BIG;
	}
	return (int)used;
}

/* What is at the other end of the client's socket. 0 or a negative errno. */
static int read_client(int client, struct process *process)
{
	int pidfd = -1;
	socklen_t length = sizeof(pidfd);

	if (getsockopt(client, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		return -errno;
	int error = process_read(pidfd, process);
	close(pidfd);
	return error;
}

int settle_answer(struct settle_exes *exes, int vouched, struct channel_message *message)
{
	struct process process;
	int error = vouch_check(vouched, message->index, message->descriptor);

	if (error == -EPROTO)
		return error;
	if (!error)
		error = read_client(message->descriptor, &process);
	close(message->descriptor);
	message->descriptor = -1;
	message->text[0] = '\0';
	if (!error) {
		int used = write_exes(exes, &process, message->text,
			sizeof(message->text) - sizeof(process.unit) - sizeof(process.comm) - 2);
		if (used < 0)
			error = used;
		else
			/* A unit's name has no newline, what a process calls itself may. */
			sprintf(message->text + used, "\n%s\n%s", process.unit, process.comm);
	}
	message->error = -error;
	return 0;
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

int settle_name_exes(struct questions *questions, const char *const *exes, size_t count)
{
	struct channel_message message = {.type = CHANNEL_EXE, .descriptor = -1};

	if (count > SETTLE_EXES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		if (strlen(exes[i]) > CHANNEL_TEXT_MAX)
			return -ENAMETOOLONG;
		message.index = (uint32_t)i;
		strcpy(message.text, exes[i]);
		int error = questions_tell(questions, &message);
		if (error)
			return error;
	}
	return 0;
}

/* 0 or -EPROTO. */
static int read_answer(
	const char *text, const char *const *exes, size_t count, struct settled *settled)
{
	while (*text && *text != '\n') {
		char *end;
		unsigned long index = strtoul(text, &end, 10);
		if (end == text || index >= count || settled->exe_count == SETTLE_EXES_MAX)
			return -EPROTO;
		settled->exes[settled->exe_count++] = exes[index];
		text = end + (*end == ' ');
	}
	const char *comm = *text == '\n' ? strchr(text + 1, '\n') : NULL;
	if (!comm)
		return -EPROTO;
	size_t length = (size_t)(comm - text - 1);
	if (length < sizeof(settled->unit))
		memcpy(settled->unit, text + 1, length);
	if (strlen(comm + 1) < sizeof(settled->comm))
		strcpy(settled->comm, comm + 1);
	return 0;
}

int settle_ask(struct questions *questions, int socket, uint32_t number, const char *const *exes,
	size_t count, struct settled *settled)
{
	struct channel_message message = {
		.type = CHANNEL_IDENTIFY,
		.index = number,
		.descriptor = socket,
	};

	settled->exe_count = 0;
	memset(settled->unit, 0, sizeof(settled->unit));
	memset(settled->comm, 0, sizeof(settled->comm));
	int error = questions_ask(questions, &message, QUESTIONS_SHORT_TIME);
	if (error)
		return error;
	if (message.type != CHANNEL_IDENTIFY || message.descriptor >= 0)
		return -EPROTO;
	if (message.error == ETIMEDOUT)
		return -ETIMEDOUT;
	/* A process that nothing can be found out about has neither. */
	return message.error ? 0 : read_answer(message.text, exes, count, settled);
}
