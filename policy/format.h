/* SPDX-License-Identifier: MIT */
/*
 * format.h: the one layout of a policy's text.
 */
#ifndef POLICY_FORMAT_H
#define POLICY_FORMAT_H

#include "diagnostic.h"

/*
 * Lays a policy's text out in the one canonical way, comments kept. *formatted is malloc'ed.
 * -EINVAL where the text has errors that leave its layout open (added to `diagnostics`), -ENOMEM.
 */
int policy_format(const char *path, const char *text, size_t length,
	struct policy_diagnostics *diagnostics, char **formatted, size_t *formatted_length);

#endif
