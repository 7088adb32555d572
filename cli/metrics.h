/* SPDX-License-Identifier: MIT */
/* metrics.h: what a broker says of itself as Prometheus' text exposition format. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <stddef.h>

struct metrics_line {
	const char *name, *value;
};

/*
 * Prints `count` lines of a status to standard output. A number whose name is not known becomes a metric of no
 * type, fdbroker_NAME; other things that are not known are left out.
 */
void metrics_print(const struct metrics_line *lines, size_t count);

#endif
