/* SPDX-License-Identifier: MIT */
/*
 * policy-naive.h: the policy language a second time, as plainly as it can be said: every rule is
 * looked at, patterns are expanded as text and matched by trying everything. It shares no code with
 * the library, and is right where it is simple enough to be read.
 */
#ifndef POLICY_NAIVE_H
#define POLICY_NAIVE_H

#include "policy.h"

#define NAIVE_RULES    12
#define NAIVE_SUBJECTS 4
#define NAIVE_MAPS     3
#define NAIVE_TEXT     160

struct naive_rule {
	bool off; /* left out, while a disagreement is made smaller */
	bool deny;
	uint32_t rights;	   /* as written; for deny all, all */
	char patterns[NAIVE_TEXT]; /* as the policy has it */
	unsigned int subject, line;
};

struct naive_subject {
	unsigned int user_low, user_high; /* no user line where low is above high */
	int group;			  /* none where negative */
};

struct naive_policy {
	struct naive_subject subjects[NAIVE_SUBJECTS];
	size_t subject_count;
	struct naive_rule rules[NAIVE_RULES];
	size_t rule_count;
	struct {
		bool off;
		char from[NAIVE_TEXT], to[NAIVE_TEXT];
	} maps[NAIVE_MAPS];
	size_t map_count;
	char define[NAIVE_TEXT]; /* the values of $d */
};

struct naive_caller {
	unsigned int uid, gid;
	const char *name, *home; /* NULL: none */
};

struct naive_answer {
	enum policy_reason reason;
	uint32_t missing;
	unsigned int line; /* of the first deny */
};

struct naive_answer naive_decide(const struct naive_policy *policy,
	const struct naive_caller *caller, uint32_t rights, const char *path);

#endif
