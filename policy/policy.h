/* SPDX-License-Identifier: MIT */
/*
 * policy.h: the policy as the broker sees it: load a text, ask who a caller is to it, decide. What an administrator's
 * tool needs besides is in query.h (why), lint.h (what looks wrong) and format.h (how it is laid out).
 *
 * The library is pure. It opens no file, looks up no user and keeps no global state: whatever comes
 * from outside comes through struct policy_environment. It parses with the privileges of whoever
 * loads it, so it must never trust the text's size, depth or bytes.
 *
 * Conventions: 0 or a negative errno is returned; paths and names are bytes, not text; a struct
 * policy never changes once it is loaded, and any number of threads may use it at once.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What may be asked. A rule and a request name a set of these. */
enum policy_right {
	POLICY_READ = 1u << 0,
	POLICY_WRITE = 1u << 1,
	POLICY_CREATE = 1u << 2,
	POLICY_STAT = 1u << 3,
	POLICY_LIST = 1u << 4,
	POLICY_READLINK = 1u << 5,
	POLICY_WATCH = 1u << 6,
	POLICY_MKDIR = 1u << 7,
	POLICY_DELETE = 1u << 8,
	POLICY_RENAME = 1u << 9,
	POLICY_APPEND = 1u << 10,
	POLICY_TREE = 1u << 11,
	POLICY_WRITE_TREE = 1u << 12,
	POLICY_CONNECT = 1u << 13,
	POLICY_BIND = 1u << 14,
};

/* Every right on a path (`deny all`), and those on an address. */
#define POLICY_PATH_RIGHTS    ((1u << 13) - 1)
#define POLICY_ADDRESS_RIGHTS (POLICY_CONNECT | POLICY_BIND)
/* The rights whose use changes a file system: they need a view that can be written. */
#define POLICY_WRITING_RIGHTS                                                          \
	(POLICY_WRITE | POLICY_CREATE | POLICY_MKDIR | POLICY_DELETE | POLICY_RENAME | \
		POLICY_APPEND | POLICY_WRITE_TREE)

/* The one name of one right, as in a policy ("write-tree"); NULL for anything else. Static. */
const char *policy_right_name(uint32_t right);
/* The other way round; 0 for what is no right. */
uint32_t policy_right_by_name(const char *name);
/* Writes a set as "read,write" into `buffer`, cut to `size` bytes; POLICY_RIGHTS_BUFFER hold any.
 */
#define POLICY_RIGHTS_BUFFER 128
void policy_rights_print(uint32_t rights, char *buffer, size_t size);

/* File types other than regular files that a rule may add (modifier `type`). */
enum policy_type {
	POLICY_TYPE_CHARDEV = 1u << 0,
	POLICY_TYPE_BLOCKDEV = 1u << 1,
	POLICY_TYPE_FIFO = 1u << 2,
};

/* ---- loading ----------------------------------------------------------------------------------
 */

/* One user of the user data base. The strings belong to the callee and live until the next call. */
struct policy_user {
	const char *name;
	uid_t uid;
	gid_t gid;
	const char *home;
};

/*
 * Where a load gets what it does not have. Every call gets `context`.
 *
 * The lookups return 0, -ENOENT where there is no such name, or another negative errno where the
 * answer could not be had (which is an error of the load, not a rule that matches nothing).
 */
struct policy_environment {
	void *context;

	/*
	 * Reads one file whole into memory from malloc(3), which becomes the caller's; at most
	 * POLICY_FILE_MAX bytes (-EFBIG). The reader checks who owns the file and who may write to
	 * it, on the opened file. On failure *reason may be set to a static or context-owned line
	 * that says it better than the errno ("is writable by its group (mode 0664): chmod g-w").
	 */
	int (*read_file)(
		void *context, const char *path, char **text, size_t *length, const char **reason);
	/*
	 * Which file it was that read_file has read last, by two numbers that are no other file's: by
	 * them one is known again under another name (a symbolic link, `..`). NULL: names tell.
	 */
	void (*last_file)(void *context, uint64_t id[2]);
	/*
	 * The paths that match a glob(7) pattern, sorted by bytes; freed by the caller, one by one
	 * and the array. No match is 0 with *count 0. The directory before the first wildcard is
	 * checked as that of a file is: -ENOENT where it is not there. *reason as for read_file.
	 */
	int (*glob)(void *context, const char *pattern, char ***paths, size_t *count,
		const char **reason);
	int (*user_by_name)(void *context, const char *name, struct policy_user *user);
	int (*user_by_uid)(void *context, uid_t uid, struct policy_user *user);
	int (*group_by_name)(void *context, const char *name, gid_t *gid);
	/* Calls `each` for every user of the data base; stops and returns what `each` returned if
	 * that is not 0. Used only where a policy has %u or %h. */
	int (*each_user)(void *context, int (*each)(void *argument, const struct policy_user *user),
		void *argument);

	/* Whether policy_prefixes is wanted, which costs memory for each pattern. */
	bool keep_prefixes;

	/* The kernel's ids for "unmapped" (/proc/sys/kernel/overflowuid): they match nothing, ever.
	 */
	uid_t overflow_uid;
	gid_t overflow_gid;
};

#define POLICY_FILE_MAX (16u << 20) /* bytes in one policy file */

struct policy;
struct policy_diagnostics; /* diagnostic.h */

/*
 * Reads, parses and compiles the policy at `path` and all that it includes. Everything wrong with
 * it is added to `diagnostics`, all of it in one run. Returns 0 and the policy, to be given to
 * policy_free; warnings may have been added. Returns -EINVAL with at least one error in
 * `diagnostics`, or -ENOMEM.
 */
int policy_load(const char *path, const struct policy_environment *environment,
	struct policy_diagnostics *diagnostics, struct policy **policy);

/* NULL is allowed. No caller or decision made from it may be used afterwards. */
void policy_free(struct policy *policy);

struct policy_summary {
	size_t files, subjects, rules;
	uint32_t rights; /* the union of all that is allowed anywhere */
};

void policy_summarize(const struct policy *policy, struct policy_summary *summary);

/* ---- directories ------------------------------------------------------------------------------
 */

/*
 * The directories that the allow rules on paths are anchored at: for each rule the longest directory
 * of its pattern without a wildcard ("/var/log/nginx" for /var/log/nginx/x*.log and for the literal
 * file /var/log/nginx/access.log, "/srv/%u" for /srv/%u/x, "/srv" for /srv/%u, "%h" for %h itself
 * and for what is in it, "/" at the least). Whoever opens things opens them beneath one of these,
 * and nowhere else.
 */
struct policy_directory {
	const char *path;     /* canonical and absolute; "/" or without a trailing slash ... */
	bool variables;	      /* ... but with these as in struct policy_tree */
	uint32_t rights;      /* all that any rule anchored here allows, without `exec` ... */
	uint32_t exec_rights; /* ... and with it */
	const char *file;     /* where the first such rule stands, for messages */
	unsigned int line;
	uint32_t types; /* POLICY_TYPE_* that any rule anchored here adds */
};

/* The table; a decision names a directory by its index. Lives as long as the policy. */
const struct policy_directory *policy_directories(const struct policy *policy, size_t *count);

/*
 * The users of the data base with the values that they give to %u and %h, NULL where a user has none. In ascending
 * order of uids, each once; false where `i` is beyond the last. None where the policy has neither. The strings live
 * as long as the policy.
 */
struct policy_user_values {
	uid_t uid;
	const char *user, *home;
};

bool policy_user_values(const struct policy *policy, size_t i, struct policy_user_values *user);

/* ---- who is calling ---------------------------------------------------------------------------
 */

/*
 * What the kernel says of a caller. NULL strings are "not known", which no rule matches. `exes` are
 * those of the policy's own exe paths (policy_exes) that the process was found to run.
 */
struct policy_identity {
	uid_t uid;
	gid_t gid;	     /* the primary group ... */
	const gid_t *groups; /* ... and the supplementary ones */
	size_t group_count;
	const char *const *exes;
	size_t exe_count;
	const char *unit;
	const char *label;
	const char *via; /* the address that was listened on, as the policy would write it */
};

/* Different executables that a policy may name: the broker holds each of them open. */
#define POLICY_EXES_MAX 1024u

/* The distinct paths that `exe` lines name. Lives as long as the policy. */
const char *const *policy_exes(const struct policy *policy, size_t *count);
/* Whether any subject narrows by `unit`, so that it is worth finding out. */
bool policy_wants_unit(const struct policy *policy);

/* A caller: the subjects that an identity matches, and its values of the variables. */
struct policy_caller;

/*
 * Copies what it needs of `identity`. Returns 0 and the caller, to be freed before the policy, or
 * -ENOMEM. One who matches no subject is a valid caller that is denied everything.
 */
int policy_caller_new(const struct policy *policy, const struct policy_identity *identity,
	struct policy_caller **caller);
void policy_caller_free(struct policy_caller *caller);

uid_t policy_caller_uid(const struct policy_caller *caller);
/* How long the path of a directory of the policy is for the caller, in bytes; 1 for "/". It has what that takes. */
size_t policy_directory_length(const struct policy_caller *caller, uint32_t directory);

/* How many subjects matched; and the name of the i-th, in the order of the files. */
size_t policy_caller_subjects(const struct policy_caller *caller);
const char *policy_caller_subject(const struct policy_caller *caller, size_t i);
/* Whether a message of this connection may come from another uid (`delegate` in
 * every subject that matched, and there is one). */
bool policy_caller_delegates(const struct policy_caller *caller);
/* Whether what it is granted is to be recorded (`log grants` in any subject that matched). */
bool policy_caller_logs_grants(const struct policy_caller *caller);

/* ---- deciding ---------------------------------------------------------------------------------
 */

enum policy_reason {
	POLICY_ALLOWED,
	POLICY_NO_SUBJECT,    /* the caller matches no subject */
	POLICY_NO_RULE,	      /* nothing allows (all of) the rights asked */
	POLICY_DENY_RULE,     /* a deny stands against it */
	POLICY_OWNERS_DIFFER, /* the rules that allow it disagree about the owner of what is created
			       */
	POLICY_TOO_COMPLEX,   /* more wildcards at once than a decision bears: denied */
};

/* Where a rule stands. Lives as long as the policy. */
struct policy_rule_place {
	const char *file;
	unsigned int line;
	const char *subject;
};

#define POLICY_OWNER_CALLER ((uid_t)-1)
#define POLICY_GROUP_CALLER ((gid_t)-1)

struct policy_decision {
	enum policy_reason reason;
	uint32_t missing; /* the rights that nothing allows (POLICY_NO_RULE) or that are denied */
	/* The deny that decided, or the allow that `directory` belongs to; NULL where none. */
	const struct policy_rule_place *rule;
	/* For POLICY_ALLOWED: the index of the directory to open beneath. Of all rules that allow
	 * the highest of the rights asked it is the deepest directory, so the order never matters.
	 */
	uint32_t directory;
	uint32_t types; /* POLICY_TYPE_*: united over the rules that allow */
	bool exec;	/* united */
	mode_t mode;	/* intersected: the bits a created file may have; never above 0777 */
	uid_t owner;	/* of what is created; POLICY_OWNER_CALLER */
	gid_t group;
	/* Seconds that what is allowed may take where it hangs: the smallest of the rules that allow; 0: none says. */
	uint32_t timeout;
};

/* Seconds of a rule's timeout: a day. */
#define POLICY_TIMEOUT_MAX 86400u

/*
 * A decision needs a little memory of its own, made once per thread from the policy so that
 * deciding allocates nothing. -ENOMEM.
 */
struct policy_scratch;
int policy_scratch_new(const struct policy *policy, struct policy_scratch **scratch);
void policy_scratch_free(struct policy_scratch *scratch);

/*
 * Checks that `path` (length bytes, not NUL-terminated) is canonical: absolute, at most 4,095
 * bytes, no NUL, no "", "." or ".." component, no trailing slash ("/" itself is canonical). Returns
 * 0, -ENOENT (empty), -ENAMETOOLONG (whole, or a component above 255 bytes), -EINVAL.
 */
int policy_path_check(const char *path, size_t length);

/*
 * Rewrites `path`, as asked, by the policy's `map` lines, once, into `buffer` (POLICY_PATH_BUFFER
 * bytes; NUL-terminated). Returns the new length, or -ENAMETOOLONG.
 */
#define POLICY_PATH_BUFFER 4096
ssize_t policy_map(const struct policy *policy, const char *path, size_t length, char *buffer);

/*
 * Decides whether `caller` may have all of `rights` (at least one, of POLICY_PATH_RIGHTS) on
 * `path`, which is canonical and mapped. Touches nothing, allocates nothing, and cannot fail: what
 * it cannot decide is denied. `decision` is filled in whole.
 */
void policy_decide(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t rights, const char *path, size_t length,
	struct policy_decision *decision);

/*
 * Whether a deny of any right that counts for the caller stands above `path`, on it, or could match anything
 * beneath it; and whether there is any deny in the policy at all, which is quick to ask first.
 */
bool policy_denies_beneath(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, const char *path, size_t length);
bool policy_has_denies(const struct policy *policy);

/* ---- trees, renaming --------------------------------------------------------------------------
 */

/*
 * A directory that a rule hands out whole (`tree`, `write-tree`). Its path has no wildcard, but may
 * have variables: %u, %U and %h, and then %% for the character (policy_caller_expand).
 */
struct policy_tree {
	const char *path;
	uint32_t rights; /* POLICY_TREE, POLICY_WRITE_TREE */
	bool variables, exec;
	bool idmap; /* ids `from` and up on disk are `to` and up in the tree ... */
	uint32_t idmap_from, idmap_to; /* ... POLICY_OWNER_CALLER: the caller's uid, and gid */
	uint32_t idmap_count;
	const char *file;
	unsigned int line;
};

const struct policy_tree *policy_trees(const struct policy *policy, size_t *count);

/*
 * Decides about one tree: `right` is POLICY_TREE or POLICY_WRITE_TREE. Besides what policy_decide
 * says, no deny of any right may be able to match beneath the path. decision->directory is an index
 * of policy_trees. Otherwise like policy_decide.
 */
void policy_decide_tree(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, const char *path, size_t length,
	struct policy_decision *decision);

/*
 * Decides about moving `from` to `to`, or linking it there (both canonical and mapped). `right` is
 * POLICY_RENAME or POLICY_CREATE (link). The caller must have the right on both names and, so that
 * moving changes nothing about what it may do with the file, on the old name every right that it
 * has on the new one, as for exec and types of files; for a link it must have POLICY_READ on the old
 * name besides. No deny of any right may match either. For a directory the same goes for all
 * that can lie beneath. decision->directory is that of `to`; where it differs from that of `from`,
 * moving is EXDEV: *from_directory says. Otherwise like policy_decide.
 */
void policy_decide_move(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, bool is_directory, const char *from,
	size_t from_length, const char *to, size_t to_length, struct policy_decision *decision,
	uint32_t *from_directory);

/* ---- addresses --------------------------------------------------------------------------------
 */

enum policy_protocol {
	POLICY_UNIX,	      /* stream and seqpacket: unix:/PATH, unix:@NAME */
	POLICY_UNIX_DATAGRAM, /* unix-dgram:/PATH, unix-dgram:@NAME */
	POLICY_TCP, /* tcp:ADDRESS[/PREFIX]:PORT[-PORT], tcp:[ADDRESS[/PREFIX]]:PORT, tcp:*:* */
	POLICY_UDP,
};

struct policy_address {
	enum policy_protocol protocol;
	bool abstract;	  /* UNIX: `name` is an abstract one, without its NUL */
	const char *name; /* UNIX: not NUL-terminated */
	size_t length;
	bool ip6;
	uint8_t ip[16]; /* network order, four or sixteen bytes of it */
	uint16_t port;
	uint32_t
		scope; /* of an IPv6 one: the interface's number ("[fe80::1%2]"); 0 where none. No rule asks */
};

/*
 * Reads one address as a policy would write it, but without quotes, wildcards and ranges. `name`
 * points into `text`. 0 or -EINVAL.
 */
int policy_address_parse(const char *text, size_t length, struct policy_address *address);

/*
 * Decides about a socket: `right` is POLICY_CONNECT or POLICY_BIND. decision->directory is an index
 * of policy_sockets. An IPv4 address written as an IPv6 one is taken for what it is. Otherwise like
 * policy_decide; what is asked for other than TCP and UDP costs what a path costs, those two cost
 * as much as the caller's subjects have rules about them.
 */
void policy_decide_address(const struct policy *policy, const struct policy_caller *caller,
	struct policy_scratch *scratch, uint32_t right, const struct policy_address *address,
	struct policy_decision *decision);

/* What an allow of connect or bind names. For TCP and UDP there is no name. */
struct policy_socket {
	enum policy_protocol protocol;
	bool abstract, variables;
	const char *name; /* %u, %U, %h: variables; %%: the character */
	uint32_t rights;
	mode_t mode;
	uid_t owner;
	gid_t group;
	/* Of TCP and UDP: 4, 6, or 0: any address; the bits of `ip` that count; the ports. */
	uint8_t family, prefix, ip[16];
	uint16_t port_low, port_high;
	const char *file;
	unsigned int line;
};

const struct policy_socket *policy_sockets(const struct policy *policy, size_t *count);

/*
 * Puts the caller's values into a path of policy_directories, policy_trees or policy_sockets that has variables.
 * Returns the length;
 * -ENOENT where the caller has no such value; -ENAMETOOLONG.
 */
ssize_t policy_caller_expand(
	const struct policy_caller *caller, const char *path, char buffer[POLICY_PATH_BUFFER]);

/* ---- limits -----------------------------------------------------------------------------------
 */

#define POLICY_LIMIT_UNSAID 0u	       /* no line about it: the default */
#define POLICY_LIMIT_NONE   UINT32_MAX /* `none` */

struct policy_limits {
	uint32_t connections;
	uint32_t rate, burst; /* requests a second, and at once */
	uint32_t opens;	      /* in flight */
	uint32_t descriptors; /* sent, not yet received */
};

/* The smallest of each over the caller's subjects: what its uid may have. */
void policy_caller_limits(const struct policy_caller *caller, struct policy_limits *limits);
/*
 * What all callers of the i-th matching subject may have together (`total`). *subject is its
 * number, the same for all callers of this policy and below the summary's count of subjects.
 */
const struct policy_limits *policy_caller_totals(
	const struct policy_caller *caller, size_t i, uint32_t *subject);

/* ---- privileges -------------------------------------------------------------------------------
 */

/*
 * The capabilities (capabilities(7)) that whoever serves these rights needs, and takes: writes their
 * names ("CAP_CHOWN"), static, and returns how many.
 */
#define POLICY_CAPABILITIES_MAX 8
size_t policy_capabilities(uint32_t rights, const char *names[POLICY_CAPABILITIES_MAX]);

#endif
