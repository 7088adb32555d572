// SPDX-License-Identifier: MIT
#include "mode.h"

int mode_parse(const struct command *self, const char *text, mode_t *mode)
{
	const char *digit;
	mode_t value = 0;

	for (digit = text; *digit >= '0' && *digit <= '7' && value <= 07777; digit++)
		value = value * 8 + (mode_t)(*digit - '0');
	if (digit == text || *digit != '\0' || value > 07777)
		return command_misused(
			self, "`%s` is no mode: write it in octal, such as 0640", text);
	*mode = value;
	return 0;
}
