/* SPDX-License-Identifier: MIT */
/* clock.h: the two times that the daemon knows: one to wait by, one to show. */
#ifndef BROKER_CLOCK_H
#define BROKER_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);
/* Nanoseconds of it. */
uint64_t clock_ns(void);

/* "2026-11-20T18:29:01Z" (RFC 3339, UTC) and its NUL. */
#define CLOCK_STAMP 24
void clock_stamp(char buffer[CLOCK_STAMP]);

#endif
