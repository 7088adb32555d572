/* SPDX-License-Identifier: MIT */
/* relay.h: copies between a socket and the standard descriptors, both ways at once. */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include <stdbool.h>

/*
 * Copies standard input to the socket `fd` and what comes from there to standard output, until the other side ends, or,
 * where there is nobody to end (datagrams), standard input does. At the end of standard input a stream is told so. With
 * `messages` each read(2) of standard input is one message. Returns EXIT_DONE, or EXIT_FAILED after having reported
 * what failed as `action` on `name`.
 */
int relay(const char *action, const char *name, int fd, bool messages);

#endif
