/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool owner_alone(void)
{
	char text[128] = "";
	unsigned int inside, outside, count = 0;
	int file = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC), used = 0;

	if (file < 0)
		return false;
	ssize_t length = read(file, text, sizeof(text) - 1);
	close(file);
	return length > 0 && sscanf(text, "%u %u %u %n", &inside, &outside, &count, &used) == 3 &&
	       count == 1 && outside != 0 && text[used] == '\0';
}

uid_t owner_overflow_uid(void)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned int id = 65534;

	if (!file)
		return id;
	if (fscanf(file, "%u", &id) != 1)
		id = 65534;
	fclose(file);
	return id;
}

static bool is_known(const struct stat *status, enum owner_of what)
{
	uid_t overflow = owner_overflow_uid();

	if (status->st_uid == 0)
		return true;
	/* Nobody's own: that number is also everybody's who has none. */
	if (status->st_uid != overflow)
		return status->st_uid == geteuid();
	return what == OWNER_WAY && owner_alone();
}

bool owner_counts(
	const struct stat *status, enum owner_of what, const char *name, char *reason, size_t size)
{
	static const char *const kinds[] = {
		[OWNER_FILE] = "",
		[OWNER_LINK] = "symbolic link ",
		[OWNER_WAY] = "directory ",
		[OWNER_HOLDER] = "directory ",
	};
	const char *is = what == OWNER_FILE ? "is" : "is in a ", *kind = kinds[what];
	/* There nobody but its owner can take away what another has put into it. */
	bool sticky = S_ISDIR(status->st_mode) && status->st_mode & S_ISVTX &&
		      (status->st_uid == 0 || status->st_uid == owner_overflow_uid());

	if (!is_known(status, what)) {
		unsigned int uid = (unsigned int)status->st_uid;
		if (uid == owner_overflow_uid())
			snprintf(reason, size,
				"%s%s%s owned by uid %u, which stands for everybody who is not "
				"mapped: keep the policy in a directory of your own, without links "
				"on the way",
				is, kind, name, uid);
		else
			snprintf(reason, size,
				"%s%s%s owned by uid %u, which could change it: chown root %s", is,
				kind, name, uid, *name ? name : "it");
		return false;
	}
	if (status->st_mode & (S_IWGRP | S_IWOTH) && !sticky && what != OWNER_LINK) {
		snprintf(reason, size, "%s%s%s writable by %s (mode %04o): chmod go-w %s", is, kind,
			name, status->st_mode & S_IWOTH ? "others" : "its group",
			(unsigned int)status->st_mode & 07777, *name ? name : "it");
		return false;
	}
	return true;
}
