/* SPDX-License-Identifier: MIT */
/* The real resolve.c, but that links are followed by the kernel, wherever they lead. */
#include <linux/openat2.h>

#undef RESOLVE_NO_SYMLINKS
#define RESOLVE_NO_SYMLINKS 0
#undef RESOLVE_BENEATH
#define RESOLVE_BENEATH 0
#include "../../broker/resolve.c"
