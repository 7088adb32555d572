/* SPDX-License-Identifier: MIT */
/*
 * prompt.h: which file systems answer at once. Those on a disk or in memory of this machine do, as far as anything
 * does; a network, another process (FUSE) or what lies under an overlay may not answer for ever.
 */
#ifndef BROKER_PROMPT_H
#define BROKER_PROMPT_H

#include <stdbool.h>

/* Whether that of `file` (O_PATH will do) is known to. Asks it, and may hang where it is not. */
bool prompt_is(int file);

#endif
