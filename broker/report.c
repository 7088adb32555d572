/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>
#include <string.h>

int report_failure(const char *what, int error)
{
	fprintf(stderr, "fdbrokerd: %s: %s (%s)\n", what, strerror(-error),
		strerrorname_np(-error));
	return 1;
}
