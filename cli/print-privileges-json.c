/* SPDX-License-Identifier: MIT */
/* print-privileges-json.c: see print-privileges.h. It says what print-privileges.c says in words. */
#include "print-privileges.h"

#include "accesses.h"
#include "privileges.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static void print_text(const char *name, const char *text)
{
	text_print_member(name, text, strlen(text));
}

static void print_rights(uint32_t rights)
{
	char text[POLICY_RIGHTS_BUFFER];

	policy_rights_print(rights, text, sizeof(text));
	print_text("rights", text);
}

static void print_names(const char *name, const char *const *names, size_t count)
{
	printf("\"%s\": [", name);
	for (size_t i = 0; i < count; i++) {
		if (i)
			fputs(", ", stdout);
		text_print(names[i], strlen(names[i]), TEXT_JSON);
	}
	putchar(']');
}

static size_t count_names(const char *const *names)
{
	size_t count = 0;

	while (names[count])
		count++;
	return count;
}

/* The rule that calls for one of these, if any does. */
static void print_rule(const struct policy *policy, uint32_t needs)
{
	struct policy_rule_place place;

	if (!privilege_rule(policy, needs, &place))
		return;
	fputs(", ", stdout);
	print_text("file", place.file);
	printf(", \"line\": %u", place.line);
}

static void print_worker_capabilities(const struct policy *policy, uint32_t rights)
{
	const char *names[POLICY_CAPABILITIES_MAX];
	size_t count = policy_capabilities(rights, names);

	for (size_t i = 0; i < count; i++) {
		uint32_t served = privileges_served(names[i]) & rights;
		fputs(i ? ", {" : "{", stdout);
		print_text("name", names[i]);
		fputs(", ", stdout);
		print_rights(served);
		print_rule(policy, served);
		putchar('}');
	}
}

static void print_capabilities(
	const struct policy *policy, enum privilege_process process, uint32_t needs)
{
	size_t count;
	const struct privilege_capability *all = privilege_capabilities(&count);
	const char *comma = "{";

	for (size_t i = 0; i < count; i++) {
		if (!privilege_needed(all[i].processes, all[i].rights, process, needs))
			continue;
		fputs(comma, stdout);
		print_text("name", all[i].name);
		fputs(", ", stdout);
		print_text("purpose", all[i].purpose);
		print_rule(policy, all[i].rights & needs);
		putchar('}');
		comma = ", {";
	}
}

static void print_calls(const struct policy *policy, enum privilege_process process, uint32_t needs)
{
	size_t count;
	const struct privilege_calls *all = privilege_calls(&count);
	const char *comma = "{";

	for (size_t i = 0; i < count; i++) {
		if (!privilege_needed(all[i].processes, all[i].rights, process, needs))
			continue;
		fputs(comma, stdout);
		print_text("purpose", all[i].purpose);
		fputs(", ", stdout);
		print_names("names", all[i].names, count_names(all[i].names));
		print_rule(policy, all[i].rights & needs);
		putchar('}');
		comma = ", {";
	}
}

static void print_directories(const struct policy *policy)
{
	size_t count;
	const struct policy_directory *directories = policy_directories(policy, &count);

	fputs(", \"directories\": [", stdout);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ", {" : "{", stdout);
		print_text("path", directories[i].path);
		fputs(", ", stdout);
		print_rights(directories[i].rights | directories[i].exec_rights);
		printf(", \"exec\": %s, ", directories[i].exec_rights ? "true" : "false");
		print_text("file", directories[i].file);
		printf(", \"line\": %u}", directories[i].line);
	}
	putchar(']');
}

/* What --landlock denies, and the rule that leaves files out of it. */
static void print_landlock(const struct policy *policy, uint32_t rights)
{
	char text[ACCESSES_TEXT];
	struct accesses denied;

	accesses_deny(rights, ACCESSES_VERSION, &denied);
	accesses_print(&denied, text, sizeof(text));
	fputs(", \"landlock\": {", stdout);
	print_text("denied", text);
	if (!denied.files)
		print_rule(policy, rights & ACCESSES_REFER);
	putchar('}');
}

/* What an ordinary user who starts the daemon must have, and what for views besides. */
static void print_start(const struct policy *policy, uint32_t rights)
{
	static const char *const views[] = {"CAP_SYS_ADMIN", "CAP_SYS_CHROOT"};
	const char *names[POLICY_CAPABILITIES_MAX + 1];
	size_t count = policy_capabilities(rights, names), exes;

	policy_exes(policy, &exes);
	if (exes)
		names[count++] = "CAP_SYS_PTRACE";
	fputs(", \"started_by_a_user\": {", stdout);
	print_names("capabilities", names, count);
	fputs(", ", stdout);
	print_names("for_views", views, 2);
	putchar('}');
}

void print_privileges_json(const struct policy *policy)
{
	const char *const *denied = privilege_denied_calls();
	const uint32_t needs = privilege_needs(policy);
	const char *names[POLICY_CAPABILITIES_MAX];
	struct policy_summary summary;

	policy_summarize(policy, &summary);
	fputs("{\"privileges\": {", stdout);
	print_rights(summary.rights);
	fputs(", ", stdout);
	print_names("capabilities", names, policy_capabilities(summary.rights, names));
	print_directories(policy);
	print_start(policy, summary.rights);
	fputs(", \"worker\": {\"capabilities\": [", stdout);
	print_worker_capabilities(policy, summary.rights);
	fputs("], \"calls\": [", stdout);
	print_calls(policy, PRIVILEGE_WORKER, summary.rights);
	putchar(']');
	print_landlock(policy, summary.rights);
	fputs("}, \"maker\": {\"capabilities\": [", stdout);
	print_capabilities(policy, PRIVILEGE_MAKER, needs);
	fputs("], \"calls\": [", stdout);
	print_calls(policy, PRIVILEGE_MAKER, needs);
	fputs("]}, \"supervisor\": {\"capabilities\": [", stdout);
	print_capabilities(policy, PRIVILEGE_SUPERVISOR, 0);
	fputs("], ", stdout);
	print_names("denied_calls", denied, count_names(denied));
	puts("}}}");
}
