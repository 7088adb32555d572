/* SPDX-License-Identifier: MIT */
/* repeat.h: which requests may be made twice. */
#ifndef CLIENT_REPEAT_H
#define CLIENT_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a request, of which nobody knows whether it was carried out, may be made again: `operation` and
 * `flags` as in struct fdbroker_request. What is not known to be safe is not.
 */
bool repeat_is_safe(uint16_t operation, uint64_t flags);

#endif
