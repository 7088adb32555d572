/* SPDX-License-Identifier: MIT */
/*
 * netns.h: sockets of another network namespace. An abstract name belongs to the namespace in which its
 * socket was made, whoever binds it.
 */
#ifndef BROKER_NETNS_H
#define BROKER_NETNS_H

/*
 * Makes an AF_UNIX SOCK_SEQPACKET socket, non-blocking and close-on-exec, in the network namespace that the
 * file at `path` is (setns(2), ip-netns(8)). A symbolic link is not followed. Only for a process with one
 * thread: it is in that namespace for the time of one system call, and ends with status 1 where it cannot
 * get back. A descriptor or a negative errno: -EINVAL where the file is no network namespace, those of
 * open(2), setns(2), socket(2).
 */
int netns_socket(const char *path);

#endif
