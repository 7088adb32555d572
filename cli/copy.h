/* SPDX-License-Identifier: MIT */
/* copy.h: copies one descriptor to another, to its end. */
#ifndef CLI_COPY_H
#define CLI_COPY_H

/*
 * Copies from `from` to `to` until the end of `from`. The names are for messages. Returns
 * EXIT_DONE, or EXIT_FAILED after having reported what failed as `action`.
 */
int copy_all(const char *action, int from, const char *from_name, int to, const char *to_name);

#endif
