/* SPDX-License-Identifier: MIT */
/*
 * needs.c: what whoever serves a right must be able to do. A pure table: a policy that only reads
 * leads to a broker that can only read. The broker takes by it, and `fdbroker check` tells by it.
 */
#include "policy.h"

static const struct need {
	uint32_t rights;
	const char *capability;
} needs[] = {
	/* Looking and reading past the modes of files and directories. */
	{POLICY_PATH_RIGHTS, "CAP_DAC_READ_SEARCH"},
	/* Writing past them. */
	{POLICY_WRITING_RIGHTS, "CAP_DAC_OVERRIDE"},
	/* Sockets and watches are made by another process, as the caller (connect, bind: nothing here). */
	/* Giving what was created to its owner. */
	{POLICY_CREATE | POLICY_MKDIR, "CAP_CHOWN"},
	/* Changing the mode and the times of what is another's; removing and renaming another's files in
	 * directories that are sticky. */
	{POLICY_WRITE | POLICY_DELETE | POLICY_RENAME, "CAP_FOWNER"},
};

_Static_assert(sizeof(needs) / sizeof(needs[0]) <= POLICY_CAPABILITIES_MAX, "all must fit");

size_t policy_capabilities(uint32_t rights, const char *names[POLICY_CAPABILITIES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (rights & needs[i].rights)
			names[count++] = needs[i].capability;
	return count;
}
