/* SPDX-License-Identifier: MIT */
/*
 * compiled.h: what a policy is once it is loaded. Nothing in it changes after that.
 */
#ifndef POLICY_COMPILED_H
#define POLICY_COMPILED_H

#include "memory.h"
#include "policy.h"
#include "source.h"
#include "tree.h"

struct range {
	uint32_t low, high;
	const char *text; /* as written; the arena's */
};

struct ranges {
	struct range *list; /* malloc'ed */
	size_t count, capacity;
};

struct strings {
	const char **list; /* malloc'ed; the strings are the arena's */
	size_t count, capacity;
};

/* Who a subject is. Kinds all hold; the values of one are alternatives; an empty kind holds. */
struct subject {
	const char *name;
	struct place place; /* of its name */
	struct ranges users, groups;
	struct strings exes, units, labels, vias;
	bool delegate, logs_grants;
	struct policy_limits limits, totals;
};

/* What a created file may be at most where no `mode` says more or less: 0666 minus 022. */
#define MODE_DEFAULT 0644u

struct rule {
	/* What a decision reads, side by side. */
	uint32_t rights; /* with those that come with them */
	uint32_t types;
	mode_t mode;
	uid_t owner;
	gid_t group;
	bool deny, exec;
	bool any_peer, idmap;
	uint8_t variables; /* VARIABLE_* that any of its patterns uses */
	struct policy_rule_place place;
	uint32_t subject;
	uint32_t written; /* its rights, without those that come with them */
	uint32_t idmap_from, idmap_to, idmap_count;
	uint32_t timeout; /* seconds; 0: the daemon's */
	uint32_t column;  /* of its `allow` or `deny` */
	const struct source *source;
};

struct map {
	const char *from, *to;
	struct place place;
};

/* One pattern of a rule about TCP or UDP. */
struct internet_rule {
	uint32_t subject, rule, socket;
	uint8_t protocol; /* enum policy_protocol */
	uint8_t family;	  /* 4, 6, or 0: either */
	uint8_t prefix;	  /* bits */
	uint8_t ip[16];
	uint16_t port_low, port_high;
};

/* A node of the tree of files on which a subject allows or denies something. */
struct subject_node {
	uint32_t subject, node, rule;
};

struct subject_nodes {
	struct subject_node *list; /* sorted by subject, then node */
	size_t count;
};

/* A user of the data base, for %u and %h. */
struct known_user {
	uid_t uid;
	size_t order;
	const char *name, *home;
};

/* Of the path of a directory: it may be a different one for each caller. */
struct directory_length {
	uint16_t bytes;		     /* 0 for the root */
	uint16_t users, uids, homes; /* values that come in besides */
};

struct policy {
	struct arena arena;
	struct source **sources;
	size_t source_count, source_capacity;
	struct subject *subjects;
	size_t subject_count, subject_capacity;
	struct rule *rules;
	size_t rule_count, rule_capacity;
	struct tree tree;
	struct policy_directory *directories;
	struct directory_length *directory_lengths;
	size_t directory_count, directory_capacity;
	struct strings exes; /* distinct */
	bool wants_unit;
	struct known_user *users; /* sorted by uid, one each */
	size_t user_count, user_capacity;
	struct map *maps; /* by number, which is their entries' rule in the tree */
	size_t map_count, map_capacity;
	uid_t overflow_uid;
	gid_t overflow_gid;
	uint32_t rights;		 /* allowed anywhere */
	unsigned int variables;		 /* used anywhere */
	struct internet_rule *internets; /* sorted by subject */
	size_t internet_count, internet_capacity;
	struct policy_tree *trees;
	size_t tree_count, tree_capacity;
	struct policy_socket *sockets;
	size_t socket_count, socket_capacity;
	struct policy_expectation *expectations;
	size_t expectation_count, expectation_capacity;
	struct policy_prefix *prefixes;
	size_t prefix_count, prefix_capacity;
	struct subject_nodes allow_nodes, deny_nodes;
	uint32_t *variable_denies; /* rules that deny and use %u or %h */
	size_t variable_deny_count, variable_deny_capacity;
};

struct policy_caller {
	const struct policy *policy;
	uint32_t *subjects; /* sorted */
	size_t subject_count;
	unsigned char *matched; /* a bit for each subject of the policy */
	/* There may be ten thousand callers: where these suffice, the two above are these. */
	uint32_t few_subjects[2];
	unsigned char few_matched[8];
	uid_t uid;
	struct values values;
	char uid_text[12];
	bool delegates, logs_grants;
	/* Denies whose variable the caller has no value for: they hold everywhere. */
	uint32_t *denies;
	size_t deny_count;
};

struct policy_scratch {
	struct tree_scratch tree;
};

/* In what an identity is not the subject's, enum policy_mismatch; 0: in nothing, it is. */
unsigned int subject_mismatch(const struct policy *policy, const struct subject *subject,
	const struct policy_identity *identity);

/* The `map` that applies to a path, or NULL. */
const struct map *map_find(const struct policy *policy, const char *path, size_t length);

/* Of an entry of policy_directories, for the caller. */
static inline size_t caller_length(
	const struct policy_caller *caller, const struct directory_length *length)
{
	const struct values *values = &caller->values;

	return length->bytes + length->users * values->user_length +
	       length->uids * values->uid_length + length->homes * values->home_length;
}

static inline bool caller_has(const struct policy_caller *caller, uint32_t subject)
{
	return caller->matched[subject / 8] & 1u << subject % 8;
}

#endif
