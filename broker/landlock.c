/* SPDX-License-Identifier: MIT */
#include "landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of version 6. An older kernel takes it where what it does not know is 0. */
struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

int landlock_version(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? -errno : (int)version;
}

int landlock_check(void)
{
	int version = landlock_version();

	if (version > 0)
		return 0;
	fprintf(stderr, "fdbrokerd: --landlock: %s (%s): %s, or start without the option\n",
		strerror(-version), strerrorname_np(-version),
		version == -EOPNOTSUPP ? "Landlock is not switched on; name it in lsm= on the "
					 "kernel's command line"
				       : "there is no Landlock; it takes Linux 5.13 with "
					 "CONFIG_SECURITY_LANDLOCK");
	return -1;
}

int landlock_restrict(const struct accesses *denied)
{
	const struct ruleset attributes = {
		.handled_access_fs = denied->files,
		.handled_access_net = denied->network,
		.scoped = denied->scopes,
	};
	int error = 0;

	/* A ruleset that handles nothing is an error. */
	if (!denied->files && !denied->network && !denied->scopes)
		return 0;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		error = -errno;
	close(ruleset);
	return error;
}
