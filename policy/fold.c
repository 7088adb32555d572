/* SPDX-License-Identifier: MIT */
/*
 * fold.c: for file systems that know a file by more names than one (vfat and cifs fold case, and FUSE may do
 * anything): there, a deny that does not match the name asked for may mean the file all the same.
 */
#include "beneath.h"
#include "judge.h"
#include "policy.h"

bool policy_denies_beneath(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, const char *path, size_t length)
{
	struct judge files;

	if (caller->subject_count == 0)
		return true;
	judge_init(&files, policy, caller, POLICY_PATH_RIGHTS, policy->directory_lengths);
	judge_caller(&files);
	if (judge_path(&files, scratch, TREE_FILES, path, length))
		return true;
	return files.deny_rule != NO_RULE ||
	       beneath_denied(&files, scratch, path, length) != NO_RULE;
}

bool policy_has_denies(const struct policy *policy)
{
	for (size_t i = 0; i < policy->rule_count; i++)
		if (policy->rules[i].deny)
			return true;
	return false;
}
