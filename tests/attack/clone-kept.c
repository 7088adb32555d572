/* SPDX-License-Identifier: MIT */
/* The real clone.c, but for closing anything: its test of the view must notice. */
#include <unistd.h>

#define close(descriptor) ((void)(descriptor))
#include "../../broker/clone.c"
