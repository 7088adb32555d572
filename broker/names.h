/* SPDX-License-Identifier: MIT */
/*
 * names.h: whether names in a directory mean just themselves. Where they do not (vfat and cifs fold case, so do
 * ext4, f2fs and tmpfs in directories that are marked, and FUSE may do anything), a file can be reached by a name
 * that no rule of the policy says anything about.
 */
#ifndef BROKER_NAMES_H
#define BROKER_NAMES_H

#include <stdbool.h>

/* Whether names may fold in `directory` (O_PATH will do). Where it cannot be found out, they may. */
bool names_fold(int directory);

#endif
