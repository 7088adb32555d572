/* SPDX-License-Identifier: MIT */
/* The real home.c, but for making a namespace for each view: all of them lie on the root of the first. */
#include "mounts.h"

#include <sched.h>

static int first;

#define unshare(flags)	       (first++ ? 0 : unshare(flags))
#define setns(namespace, kind) ((void)(namespace), 0)
#define mounts_count(text)     ((void)(text), 2)
#include "../../broker/home.c"
