/* SPDX-License-Identifier: MIT */
#include "print-privileges.h"
#include "query.h"

#include "accesses.h"
#include "privileges.h"
#include "report.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static void print_path(const char *path)
{
	text_print(path, strlen(path), TEXT_ESCAPED);
}

/* The rule that calls for one of these: " (FILE:LINE)". Nothing where none does. */
static void print_rule(const struct policy *policy, uint32_t needs)
{
	struct policy_rule_place place;

	if (!privilege_rule(policy, needs, &place))
		return;
	fputs(" (", stdout);
	print_path(place.file);
	printf(":%u)", place.line);
}

/* ---- capabilities ----------------------------------------------------------------------------- */

uint32_t privileges_served(const char *capability)
{
	uint32_t rights = 0;

	for (unsigned int i = 0; i < 32; i++) {
		const char *names[POLICY_CAPABILITIES_MAX];
		size_t count = policy_capabilities(1u << i, names);
		for (size_t k = 0; k < count; k++)
			if (strcmp(names[k], capability) == 0)
				rights |= 1u << i;
	}
	return rights;
}

static void print_worker_capabilities(const struct policy *policy, uint32_t rights)
{
	const char *names[POLICY_CAPABILITIES_MAX];
	size_t count = policy_capabilities(rights, names);

	for (size_t i = 0; i < count; i++) {
		uint32_t served = privileges_served(names[i]) & rights;
		char text[POLICY_RIGHTS_BUFFER];
		policy_rights_print(served, text, sizeof(text));
		printf("  %s: %s", names[i], text);
		print_rule(policy, served);
		puts("");
	}
	if (!count)
		puts("  no capability");
}

static void print_capabilities(
	const struct policy *policy, enum privilege_process process, uint32_t needs)
{
	size_t count;
	const struct privilege_capability *all = privilege_capabilities(&count);

	for (size_t i = 0; i < count; i++) {
		if (!privilege_needed(all[i].processes, all[i].rights, process, needs))
			continue;
		printf("  %s: %s", all[i].name, all[i].purpose);
		print_rule(policy, all[i].rights & needs);
		puts("");
	}
}

/* ---- system calls ----------------------------------------------------------------------------- */

static void print_calls(const struct policy *policy, enum privilege_process process, uint32_t needs)
{
	size_t count;
	const struct privilege_calls *all = privilege_calls(&count);

	for (size_t i = 0; i < count; i++) {
		if (!privilege_needed(all[i].processes, all[i].rights, process, needs))
			continue;
		printf("  %s", all[i].purpose);
		print_rule(policy, all[i].rights & needs);
		putchar(':');
		for (const char *const *name = all[i].names; *name; name++)
			printf(" %s", *name);
		puts("");
	}
}

static void print_landlock(const struct policy *policy, uint32_t rights)
{
	char text[ACCESSES_TEXT];
	struct accesses denied;

	accesses_deny(rights, ACCESSES_VERSION, &denied);
	accesses_print(&denied, text, sizeof(text));
	printf("  with --landlock denied everywhere: %s", text);
	if (!denied.files) {
		fputs(", and no access to files: links and renames between directories would be too",
			stdout);
		print_rule(policy, rights & ACCESSES_REFER);
	}
	puts("");
}

static void print_denied(void)
{
	fputs("  all system calls but:", stdout);
	for (const char *const *name = privilege_denied_calls(); *name; name++)
		printf(" %s", *name);
	puts("");
}

/* What an ordinary user who starts the daemon must have (capabilities(7), ambient). */
static void print_start(const struct policy *policy, uint32_t rights)
{
	const char *names[POLICY_CAPABILITIES_MAX];
	size_t count = policy_capabilities(rights, names), exes;

	policy_exes(policy, &exes);
	fputs("started by an ordinary user it needs:", stdout);
	for (size_t i = 0; i < count; i++)
		printf(" %s", names[i]);
	if (exes)
		fputs(" CAP_SYS_PTRACE", stdout);
	printf("%s, and for views CAP_SYS_ADMIN CAP_SYS_CHROOT\n", count || exes ? "" : " nothing");
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void print_directories(const struct policy *policy)
{
	size_t count;
	const struct policy_directory *directories = policy_directories(policy, &count);

	puts("directories:");
	for (size_t i = 0; i < count; i++) {
		char rights[POLICY_RIGHTS_BUFFER];
		policy_rights_print(
			directories[i].rights | directories[i].exec_rights, rights, sizeof(rights));
		fputs("  ", stdout);
		print_path(directories[i].path);
		printf(": %s%s (", rights, directories[i].exec_rights ? ", exec" : "");
		print_path(directories[i].file);
		printf(":%u)\n", directories[i].line);
	}
}

void print_privileges(const struct policy *policy)
{
	struct policy_summary summary;
	const char *names[POLICY_CAPABILITIES_MAX];
	char rights[POLICY_RIGHTS_BUFFER];

	const uint32_t needs = privilege_needs(policy);

	policy_summarize(policy, &summary);
	policy_rights_print(summary.rights, rights, sizeof(rights));
	printf("rights: %s\n", *rights ? rights : "none");
	size_t count = policy_capabilities(summary.rights, names);
	fputs("capabilities:", stdout);
	for (size_t i = 0; i < count; i++)
		printf(" %s", names[i]);
	puts(count ? "" : " none");
	print_directories(policy);
	print_start(policy, summary.rights);
	puts("worker, which hears clients:");
	print_worker_capabilities(policy, summary.rights);
	print_calls(policy, PRIVILEGE_WORKER, summary.rights);
	print_landlock(policy, summary.rights);
	puts("maker, once the policy is loaded:");
	print_capabilities(policy, PRIVILEGE_MAKER, needs);
	print_calls(policy, PRIVILEGE_MAKER, needs);
	puts("supervisor, whatever the policy is:");
	print_capabilities(policy, PRIVILEGE_SUPERVISOR, 0);
	print_denied();
}
