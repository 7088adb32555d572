/* SPDX-License-Identifier: MIT */
/* server.h: whether the process that answers on a socket is one to believe. */
#ifndef CLIENT_SERVER_H
#define CLIENT_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#define SERVER_NOBODY ((uid_t)-1) /* no uid: nobody besides root and the caller is trusted */

/* All that the judgement depends on. */
struct server_facts {
	uid_t server;	 /* who called listen(2), as this user namespace shows it */
	uid_t caller;	 /* this process's effective uid */
	uid_t named;	 /* whom the program said it trusts, or SERVER_NOBODY */
	uid_t overflow;	 /* how the kernel shows uids without a mapping here */
	bool all_mapped; /* every uid has a mapping here, so `overflow` is a user like any other */
	bool name_is_owned; /* not everyone could have taken the address: a path or an inherited
			       socket */
};

bool server_is_trusted(const struct server_facts *facts);

/*
 * Finds the facts about the connected socket `fd` and judges them. Returns 0, -EPERM, or what
 * getsockopt(2) fails with. Cheap where the server is plainly root's or the caller's; else it reads
 * two files of /proc, if there is one.
 */
int server_check(int fd, uid_t named, bool name_is_owned);

#endif
