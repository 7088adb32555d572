/* SPDX-License-Identifier: MIT */
/*
 * policy-file.c: see policy-file.h.
 */
#include "policy-file.h"

#include "../policy/report.h"
#include "command.h"
#include "system.h"

#include <errno.h>
#include <stdlib.h>

int policy_file_load(
	const char *path, struct policy_diagnostics **diagnostics, struct policy **policy)
{
	struct policy_environment environment;
	int status;

	policy_system_environment(&environment);
	environment.keep_prefixes = true;
	*diagnostics = policy_diagnostics_new();
	status = *diagnostics ? policy_load(path, &environment, *diagnostics, policy) : -ENOMEM;
	if (status == -ENOMEM) {
		fputs("fdbroker: out of memory\n", stderr);
		exit(EXIT_FAILED);
	}
	return status;
}

int policy_file_read(const char *path, char **text, size_t *length)
{
	FILE *file = fopen(path, "re"), *memory;
	char buffer[65536];
	size_t count;
	int status = 0;

	if (!file)
		return -errno;
	memory = open_memstream(text, length);
	while (memory && (count = fread(buffer, 1, sizeof(buffer), file)))
		fwrite(buffer, 1, count, memory);
	if (ferror(file))
		status = -EIO;
	fclose(file);
	if (!memory || fclose(memory))
		return -ENOMEM;
	if (status)
		free(*text);
	return status;
}

void policy_file_print(const struct policy_diagnostics *diagnostics)
{
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++)
		policy_diagnostic_print(stderr, policy_diagnostics_get(diagnostics, i));
}

void print_escaped(const char *bytes, size_t length)
{
	char *text = report_escape(bytes, length, false);

	fputs(text ? text : "?", stdout);
	free(text);
}

void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

const char *policy_reason_text(enum policy_reason reason)
{
	switch (reason) {
	case POLICY_ALLOWED:
		return "allowed";
	case POLICY_NO_SUBJECT:
		return "the caller matches no subject";
	case POLICY_NO_RULE:
		return "no rule allows it";
	case POLICY_DENY_RULE:
		return "a deny stands against it";
	case POLICY_OWNERS_DIFFER:
		return "the rules that allow it disagree about owners or ids";
	case POLICY_TOO_COMPLEX:
		return "too many wildcards match at once";
	}
	return "unknown";
}
