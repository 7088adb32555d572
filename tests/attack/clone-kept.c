/* SPDX-License-Identifier: MIT */
/* The real clone.c, but for closing anything, and for homes: its test of the view must notice. */
#include "home.h"

#include <errno.h>
#include <unistd.h>

#define home_give(homes, tree) ((void)(homes), -EIO)

#define close(descriptor) ((void)(descriptor))
#include "../../broker/clone.c"
