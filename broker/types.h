/* SPDX-License-Identifier: MIT */
/* types.h: of which types a file may be. */
#ifndef BROKER_TYPES_H
#define BROKER_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether a decision with those `types` (POLICY_TYPE_*) is about a file of this mode: a regular one always. */
bool type_granted(mode_t mode, uint32_t types);

#endif
