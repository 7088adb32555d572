/* SPDX-License-Identifier: MIT */
/*
 * rights.c: the one table of rights. Whoever adds a right adds a line here and a bit in policy.h.
 */
#include "rights.h"

#include <stdio.h>
#include <string.h>

static const struct right {
	uint32_t right;
	const char *name;
	bool shows_stat; /* whoever has it sees the attributes anyway */
} table[] = {
	{POLICY_READ, "read", true},
	{POLICY_WRITE, "write", true},
	{POLICY_CREATE, "create", false},
	{POLICY_STAT, "stat", false},
	{POLICY_LIST, "list", true},
	{POLICY_READLINK, "readlink", false},
	{POLICY_WATCH, "watch", true},
	{POLICY_MKDIR, "mkdir", false},
	{POLICY_DELETE, "delete", false},
	{POLICY_RENAME, "rename", false},
	{POLICY_APPEND, "append", false},
	{POLICY_TREE, "tree", true},
	{POLICY_WRITE_TREE, "write-tree", true},
	{POLICY_CONNECT, "connect", false},
	{POLICY_BIND, "bind", false},
};

#define RIGHT_COUNT (sizeof(table) / sizeof(table[0]))

const char *policy_right_name(uint32_t right)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		if (table[i].right == right)
			return table[i].name;
	return NULL;
}

uint32_t policy_right_by_name(const char *name)
{
	return right_by_name(name, strlen(name));
}

uint32_t right_by_name(const char *name, size_t length)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return table[i].right;
	return 0;
}

void policy_rights_print(uint32_t rights, char *buffer, size_t size)
{
	size_t used = 0;

	if (size)
		buffer[0] = '\0';
	for (size_t i = 0; i < RIGHT_COUNT; i++) {
		int length;

		if (!(rights & table[i].right) || used >= size)
			continue;
		length = snprintf(
			buffer + used, size - used, "%s%s", used ? "," : "", table[i].name);
		used += (size_t)length;
	}
}

uint32_t rights_implied(uint32_t rights)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		if (rights & table[i].right && table[i].shows_stat)
			return rights | POLICY_STAT;
	return rights;
}

uint32_t rights_highest(uint32_t rights)
{
	/* Where one of them writes, the directory must be one that can be written. */
	if (rights & POLICY_WRITING_RIGHTS)
		rights &= POLICY_WRITING_RIGHTS;
	return rights ? 1u << (31 - __builtin_clz(rights)) : 0;
}

void rights_suggest(struct suggest *suggest)
{
	for (size_t i = 0; i < RIGHT_COUNT; i++)
		suggest_try(suggest, table[i].name);
}
