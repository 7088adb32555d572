/* SPDX-License-Identifier: MIT */
/*
 * needs.c: what whoever serves a right must be able to do. A pure table: a policy that only reads
 * leads to a broker that can only read.
 */
#include "policy.h"

static const struct need {
	uint32_t rights;
	const char *capability;
} needs[] = {
	/* Looking and reading past the modes of files and directories. */
	{POLICY_READ | POLICY_STAT | POLICY_LIST | POLICY_READLINK | POLICY_WATCH | POLICY_TREE,
		"CAP_DAC_READ_SEARCH"},
	/* Writing past them. */
	{POLICY_WRITING_RIGHTS, "CAP_DAC_OVERRIDE"},
	/* Giving what was created to its owner. */
	{POLICY_CREATE | POLICY_MKDIR | POLICY_BIND, "CAP_CHOWN"},
	/* chmod and utimens of another's file; sticky directories. */
	{POLICY_WRITE | POLICY_CREATE | POLICY_MKDIR | POLICY_DELETE | POLICY_RENAME, "CAP_FOWNER"},
	/* Connecting with the caller's ids; ports below 1024. */
	{POLICY_CONNECT | POLICY_BIND, "CAP_SETUID"},
	{POLICY_CONNECT | POLICY_BIND, "CAP_SETGID"},
	{POLICY_BIND, "CAP_NET_BIND_SERVICE"},
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
