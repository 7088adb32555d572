/* SPDX-License-Identifier: MIT */
#include "callers.h"

size_t policy_caller_subjects(const struct policy_caller *caller)
{
	return caller->count;
}

void policy_caller_limits(const struct policy_caller *caller, struct policy_limits *limits)
{
	*limits = caller->limits;
}

const struct policy_limits *policy_caller_totals(
	const struct policy_caller *caller, size_t i, uint32_t *subject)
{
	*subject = caller->subjects[i].number;
	return &caller->subjects[i].totals;
}
