/* SPDX-License-Identifier: MIT */
/*
 * options.h: the command line of fdbrokerd. Supervisor and worker read the same one.
 */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OPTIONS_POLICY_DEFAULT "/etc/fdbroker/policy"
#define OPTIONS_USER_DEFAULT   "fdbroker"
#define OPTIONS_ADDRESSES_MAX  16
/* s */
#define OPTIONS_OPEN_TIMEOUT_DEFAULT 30

struct options {
	const char *policy;
	const char *addresses[OPTIONS_ADDRESSES_MAX];
	unsigned int address_count;
	bool addresses_default; /* none was given */
	mode_t mode;		/* of pathname sockets */
	gid_t group;		/* LISTEN_GROUP_KEEP */
	const char *log;	/* as for destination_open */
	int open_timeout;	/* ms that a request may take */
	uint32_t connects;	/* a second, of one uid */
	uid_t uid;		/* the worker's; meaningless where `switch_user` is false */
	gid_t gid;
	bool log_grants;	/* not denials alone */
	bool switch_user;	/* started as root: the worker becomes somebody else */
	bool alone;		/* root only of a user namespace of its own (policy/owner.h) */
	bool require_views;	/* never the directories themselves in their place */
	bool unprotected_links; /* goes on although fs.protected_hardlinks is 0 */
	int ready;		/* of --ready-fd; -1 */
	/* -1; or the channel's descriptor, where this process is a worker, or a maker */
	int worker, maker;
	/*
	 * Likewise of the memory from which this process goes on as the supervisor, or tells whether it could
	 * (resume.h)
	 */
	int resume, resume_check;
};

/*
 * Reads the command line. Returns -1 to go on, else the exit status: after --help and --version 0,
 * after a mistake 2 or, where a user or a group does not exist, 1; then one line on standard error
 * says so.
 */
int options_read(int argc, char **argv, struct options *options);

#endif
