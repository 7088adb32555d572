/* SPDX-License-Identifier: MIT */
/*
 * ask.c: one question, asked as a person asks it: a path as it is known outside, or an address. It
 * allocates, and is not for a broker's way of a request.
 */
#include "compiled.h"
#include "judge.h"
#include "query.h"

#include <errno.h>
#include <string.h>

static int ask_path(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t rights, const char *path,
	struct policy_decision *decision)
{
	const uint32_t trees = POLICY_TREE | POLICY_WRITE_TREE;
	char mapped[POLICY_PATH_BUFFER];
	ssize_t length;

	if (policy_path_check(path, strlen(path)))
		return -EINVAL;
	length = policy_map(policy, path, strlen(path), mapped);
	if (length < 0)
		return -EINVAL;
	if (rights == POLICY_TREE || rights == POLICY_WRITE_TREE) {
		policy_decide_tree(
			policy, caller, scratch, rights, mapped, (size_t)length, decision);
		return 0;
	}
	/* A tree is asked for alone. */
	if (rights & trees)
		return -EINVAL;
	policy_decide(policy, caller, scratch, rights, mapped, (size_t)length, decision);
	return 0;
}

int policy_ask(const struct policy *policy, const struct policy_identity *identity, uint32_t rights,
	const char *target, struct policy_decision *decision)
{
	struct policy_caller *caller = NULL;
	struct policy_scratch *scratch = NULL;
	struct policy_address address;
	int status = policy_caller_new(policy, identity, &caller);

	decision_init(decision, rights);
	if (status == 0)
		status = policy_scratch_new(policy, &scratch);
	if (status == 0 && rights & POLICY_ADDRESS_RIGHTS) {
		status = policy_address_parse(target, strlen(target), &address);
		if (status == 0 && rights & (rights - 1))
			status = -EINVAL;
		if (status == 0)
			policy_decide_address(policy, caller, scratch, rights, &address, decision);
	} else if (status == 0) {
		status = ask_path(policy, caller, scratch, rights, target, decision);
	}
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	return status;
}

ssize_t policy_caller_expand(
	const struct policy_caller *caller, const char *path, char buffer[POLICY_PATH_BUFFER])
{
	const struct values *values = &caller->values;
	size_t used = 0;

	for (; *path; path++) {
		const char *value = path;
		size_t length = 1;

		if (*path == '%') {
			path++;
			value = *path == 'u'   ? values->user
				: *path == 'U' ? values->uid
				: *path == 'h' ? values->home
					       : "%";
			if (!value)
				return -ENOENT;
			length = strlen(value);
		}
		if (used + length >= POLICY_PATH_BUFFER)
			return -ENAMETOOLONG;
		memcpy(buffer + used, value, length);
		used += length;
	}
	buffer[used] = '\0';
	return (ssize_t)used;
}
