/* SPDX-License-Identifier: MIT */
/*
 * decide.c: may this caller have these rights on this path? And the same of a tree and a socket.
 */
#include "address-match.h"
#include "judge.h"

#include <errno.h>

void policy_decide(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t rights, const char *path, size_t length,
	struct policy_decision *decision)
{
	struct judge judge;
	int status = -EINVAL;

	decision_init(decision, rights);
	judge_init(&judge, policy, caller, rights, policy->directory_lengths);
	if (caller->subject_count && rights && !(rights & ~POLICY_PATH_RIGHTS)) {
		judge_caller(&judge);
		status = judge_path(&judge, scratch, TREE_FILES, path, length);
	}
	judge_finish(&judge, status, decision);
}

/* The first of the caller's subject's rules about TCP and UDP. */
static size_t first_internet(const struct policy *policy, uint32_t subject)
{
	size_t low = 0, high = policy->internet_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (policy->internets[middle].subject < subject)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void judge_internet(struct judge *judge, const struct policy_address *address)
{
	const struct policy *policy = judge->policy;
	const struct policy_caller *caller = judge->caller;

	for (size_t i = 0; i < caller->subject_count; i++) {
		size_t at = first_internet(policy, caller->subjects[i]);

		for (; at < policy->internet_count; at++) {
			const struct internet_rule *rule = &policy->internets[at];
			struct tree_entry entry = {rule->subject, rule->rule, rule->socket};

			if (rule->subject != caller->subjects[i])
				break;
			if (address_matches(
				    rule, policy->rules[rule->rule].deny, judge->rights, address))
				judge_entry(judge, &entry);
		}
	}
}

void policy_decide_address(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, const struct policy_address *address,
	struct policy_decision *decision)
{
	bool datagram = address->protocol == POLICY_UNIX_DATAGRAM;
	struct judge judge;
	int status = -EINVAL;

	decision_init(decision, right);
	judge_init(&judge, policy, caller, right, NULL);
	if (caller->subject_count && (right == POLICY_CONNECT || right == POLICY_BIND)) {
		judge_caller(&judge);
		if (address->protocol == POLICY_TCP || address->protocol == POLICY_UDP) {
			judge_internet(&judge, address);
			status = 0;
		} else if (address->abstract) {
			status = judge_name(&judge, scratch,
				datagram ? TREE_ABSTRACT_DATAGRAM : TREE_ABSTRACT, address->name,
				address->length);
		} else {
			status = judge_path(&judge, scratch,
				datagram ? TREE_UNIX_DATAGRAM : TREE_UNIX, address->name,
				address->length);
		}
	}
	judge_finish(&judge, status, decision);
}
