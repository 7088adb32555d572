/* SPDX-License-Identifier: MIT */
/*
 * query.h: questions of an administrator: what a policy says of somebody who is not there, why, and which rule would
 * almost have done. The answer is always that of policy.h's own decisions.
 */
#ifndef POLICY_QUERY_H
#define POLICY_QUERY_H

#include "policy.h"

/* ---- expectations ----------------------------------------------------------------------------- */

/* One line of a policy that says what it should do, about one path. */
struct policy_expectation {
	const char *file;
	unsigned int line, column;
	bool allow; /* or deny */
	uint32_t rights;
	const char *target; /* the path or address */
	struct policy_identity identity;
};

const struct policy_expectation *policy_expectations(const struct policy *policy, size_t *count);

/*
 * Asks what an administrator would ask: maps `target`, which is a path or an address, and decides
 * with whichever function `rights` call for. -EINVAL where the target or the rights make no sense
 * (decision is then a denial), -ENOMEM, else 0.
 */
int policy_ask(const struct policy *policy, const struct policy_identity *identity, uint32_t rights,
	const char *target, struct policy_decision *decision);

/* ---- rules and subjects ----------------------------------------------------------------------- */

/* One rule as it is written. */
struct policy_rule_info {
	struct policy_rule_place place;
	unsigned int column;
	bool deny;
	uint32_t rights;		     /* as written; for `deny all` every bit */
	bool uses_user, uses_uid, uses_home; /* %u, %U, %h */
	uint32_t types;			     /* POLICY_TYPE_* that it adds */
	const char *text; /* its line without the blanks around it, not NUL-terminated */
	size_t length;
};

/* The i-th of the summary's count of rules, in the order of the files. */
void policy_rule_get(const struct policy *policy, size_t i, struct policy_rule_info *info);
/* The rule that a decision names; false where it is none of this policy's. */
bool policy_rule_find(const struct policy *policy, const struct policy_rule_place *place,
	struct policy_rule_info *info);

enum policy_mismatch {
	POLICY_MISMATCH_USER = 1 << 0,
	POLICY_MISMATCH_GROUP = 1 << 1,
	POLICY_MISMATCH_EXE = 1 << 2,
	POLICY_MISMATCH_UNIT = 1 << 3,
	POLICY_MISMATCH_LABEL = 1 << 4,
	POLICY_MISMATCH_VIA = 1 << 5,
};

#define POLICY_KINDS 6 /* as there are POLICY_MISMATCH_*, the i-th of them 1 << i */

/* How an identity stands to a subject. */
struct policy_subject_match {
	struct policy_rule_place place; /* of the subject */
	unsigned int mismatch; /* POLICY_MISMATCH_*: the kinds of lines that fail; 0: it matches */
	/* Of each kind the value that holds, as written; NULL where none does or there is no line. */
	const char *held[POLICY_KINDS];
	bool logs_grants; /* it has a line `log grants` */
};

/* The i-th of the summary's count of subjects. The strings live as long as the policy. */
void policy_subject_match(const struct policy *policy, size_t i,
	const struct policy_identity *identity, struct policy_subject_match *match);
/* The subject of which the fewest kinds fail, its user last, and the most hold; false where there is no subject. */
bool policy_subject_nearest(const struct policy *policy, const struct policy_identity *identity,
	struct policy_subject_match *match);

/* ---- explanations ----------------------------------------------------------------------------- */

/* How the nearest rule misses. */
enum policy_near {
	POLICY_NEAR_NONE,
	POLICY_NEAR_RIGHT,   /* it is the caller's and matches, but has other rights */
	POLICY_NEAR_SUBJECT, /* it matches, but its subject is not the caller's: see `mismatch` */
	/* It is the caller's and has the right, but it is about ... */
	POLICY_NEAR_PORT,     /* ... the ports `port_low` to `port_high` of the same address ... */
	POLICY_NEAR_ADDRESS,  /* ... the same port of another address ... */
	POLICY_NEAR_PROTOCOL, /* ... the same, of another protocol */
	POLICY_NEAR_PATH, /* it is the caller's and has the rights, and matches up to `depth` bytes
			   */
};

struct policy_explanation {
	struct policy_decision decision; /* policy_ask's, by the very same code */
	char target[POLICY_PATH_BUFFER]; /* as mapped */
	struct policy_rule_place map;	 /* the `map` that was applied; file NULL: none */
	/* For a denial for want of a rule: the allow that would have done but for one thing. */
	enum policy_near near;
	struct policy_rule_info near_rule;
	unsigned int mismatch; /* POLICY_MISMATCH_* */
	uint16_t port_low, port_high;
	size_t depth;
};

/* 0, -EINVAL (as policy_ask) or -ENOMEM. */
int policy_explain(const struct policy *policy, const struct policy_identity *identity,
	uint32_t rights, const char *target, struct policy_explanation *explanation);

#endif
