/* SPDX-License-Identifier: MIT */
/* callers.h: callers of a policy that there is not: the limits of one are what the test says. */
#ifndef TESTS_CALLERS_H
#define TESTS_CALLERS_H

#include "policy.h"

#define SUBJECTS_MAX 4

struct policy_caller {
	struct policy_limits limits;
	size_t count;
	struct {
		uint32_t number;
		struct policy_limits totals;
	} subjects[SUBJECTS_MAX];
};

#endif
