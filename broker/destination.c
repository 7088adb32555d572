/* SPDX-License-Identifier: MIT */
#include "destination.h"

#include "audit.h"
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A link could be a stranger's, and lead anywhere. */
#define FILE_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
#define FILE_MODE  0640

/* The path of the journal's socket; NULL where it is not the journal that is meant. */
static const char *journal_path(const char *log)
{
	if (strcmp(log, "journal") == 0)
		return JOURNAL_SOCKET;
	return strncmp(log, "journal:", 8) == 0 ? log + 8 : NULL;
}

int destination_open(const char *log)
{
	const char *journal = log ? journal_path(log) : NULL;
	int opened;

	if (journal)
		return journal_open(journal);
	opened = log ? open(log, FILE_FLAGS, FILE_MODE) : audit_open(STDERR_FILENO);
	return opened < 0 ? -errno : opened;
}

bool destination_is_journal(const char *log)
{
	return log && journal_path(log);
}

const char *destination_name(const char *log)
{
	return log ? log : "standard error";
}

void destination_replace(int log, int fresh)
{
	dup3(fresh, log, O_CLOEXEC);
	close(fresh);
}
