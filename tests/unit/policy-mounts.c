/* SPDX-License-Identifier: MIT */
/* policy-mounts.c: denies that a mount goes round, by texts that were made up. */
#include "lint.h"
#include "policy-support.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What is mounted: ROOT on POINT of the device, one after the other. */
#define MOUNT(device, root, point) \
	"36 35 " device " " root " " point " rw master:1 - ext4 /dev/x rw\n"
#define SYSTEM                       \
	MOUNT("8:1", "/", "/")       \
	MOUNT("8:2", "/", "/home")   \
	MOUNT("0:5", "/", "/proc")   \
	MOUNT("8:1", "/srv", "/pub") \
	MOUNT("0:4", "net:[4026531840]", "/run/netns/x")

static const struct row {
	const char *mounts;
	const char *rules;
	const char *said; /* LINE: FIRST SECOND, or NULL */
} rows[] = {
	/* A directory, a file in it, what is beneath it. */
	{SYSTEM, "allow read /pub/**\ndeny read /srv/private", "4: /srv/private /pub/private"},
	{SYSTEM, "deny all /srv/a/b\nallow read /pub/a/b", "3: /srv/a/b /pub/a/b"},
	{SYSTEM, "deny read /srv\nallow read /pub/x/y", "3: /srv /pub"},
	{SYSTEM, "deny read /\nallow read /pub/x/y", NULL},
	{SYSTEM, "deny read /srv/p\nallow read /**", "3: /srv/p /pub/p"},
	/* The other way round: the second name is the one that is denied. */
	{SYSTEM, "deny read /pub/p\nallow read /srv/**", "3: /pub/p /srv/p"},
	/* Nothing allows it there, or a deny stands there as well. */
	{SYSTEM, "deny read /srv/p\nallow read /pub/q", NULL},
	{SYSTEM, "deny read /srv/p\nallow read /srv/**", NULL},
	{SYSTEM, "deny read /srv/p\nallow write /pub/**", NULL},
	{SYSTEM, "deny read /srv/p /pub/p\nallow read /pub/**", NULL},
	{SYSTEM, "deny read /srv/p\ndeny write /pub/p\nallow read /pub/**", "3: /srv/p /pub/p"},
	{SYSTEM, "deny read /srv/p\ndeny all /pub\nallow read /pub/**", NULL},
	{SYSTEM, "deny read /srv/p\nallow read /pub/*.log", NULL},
	{SYSTEM, "deny read /**/p\nallow read /pub/**", NULL},
	/* Wildcards. */
	{SYSTEM, "deny read /srv/*/key\nallow read /pub/**", "3: /srv /pub"},
	{SYSTEM, "deny read /srv/{,x/}*.key /pub/*.key /pub/x/*.key\nallow read /pub/**", NULL},
	{MOUNT("8:1", "/", "/") MOUNT("8:1", "/home/alice", "/mnt"),
		"deny read /home/*/.ssh\nallow read /mnt/**", "3: /home/alice /mnt"},
	{MOUNT("8:1", "/", "/") MOUNT("8:1", "/home/alice", "/mnt"),
		"deny read /home/*.key\nallow read /mnt/**", NULL},
	/* Another file system that is mounted beneath what is denied. */
	{MOUNT("8:1", "/", "/") MOUNT("8:2", "/", "/srv/data") MOUNT("8:2", "/x", "/x"),
		"deny read /srv\nallow read /x/**", "3: /srv/data/x /x"},
	/* Another device; another directory of it; hidden by a later mount. */
	{MOUNT("8:1", "/", "/") MOUNT("8:2", "/srv", "/pub"),
		"deny read /srv/p\nallow read /pub/**", NULL},
	{MOUNT("8:1", "/", "/") MOUNT("8:1", "/srvx", "/pub"),
		"deny read /srv/p\nallow read /pub/**", NULL},
	{SYSTEM MOUNT("8:3", "/", "/pub"), "deny read /srv/p\nallow read /pub/**", NULL},
	{SYSTEM MOUNT("8:3", "/", "/pub/p"), "deny read /srv/p\nallow read /pub/**", NULL},
	{SYSTEM MOUNT("8:3", "/", "/srv"), "deny read /srv/p\nallow read /pub/**", NULL},
	{MOUNT("8:1", "/srv//deleted", "/pub") MOUNT("8:1", "/", "/"),
		"deny read /srv/p\nallow read /pub/**", NULL},
	/* Names with blanks; what is no mount at all. */
	{MOUNT("8:1", "/", "/") MOUNT("8:1", "/a\\040b", "/c\\134d"),
		"deny read \"/a b/p\"\nallow read /c\\\\d/**", "3: /a b/p /c\\d/p"},
	{"\n\n36\n36 35\n36 35 8:1 /\nx x x x x\n", "deny read /a\nallow read /b", NULL},
	{"", "deny read /a\nallow read /b", NULL},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_diagnostics *diagnostics = policy_diagnostics_new();
		struct policy_environment environment;
		char text[512], wanted[512] = "", first[128], second[128];
		const struct policy_diagnostic *one;
		struct policy *policy;
		unsigned int line = 0;

		files_reset();
		snprintf(text, sizeof(text), "subject s {\n\tuser 5\n%s\n}\n", rows[i].rules);
		file_set(TEST_FILE, text, strlen(text));
		environment_init(&environment);
		environment.keep_prefixes = true;
		assert_int_equal(policy_load(TEST_FILE, &environment, diagnostics, &policy), 0);
		assert_int_equal(policy_lint_mounts(policy, rows[i].mounts, diagnostics), 0);
		one = policy_diagnostics_get(diagnostics, 0);
		if (policy_diagnostics_count(diagnostics) != (rows[i].said != NULL))
			fail_msg("%zu: %s: %s", i, rows[i].rules, one ? one->message : "nothing");
		if (one) {
			assert_int_equal(sscanf(rows[i].said, "%u: %127[^\n]", &line, first), 2);
			strcpy(second, strrchr(first, ' ') + 1);
			*strrchr(first, ' ') = '\0';
			snprintf(wanted, sizeof(wanted),
				"'%s' is mounted as '%s' too, where no deny stands", first, second);
			assert_string_equal(one->message, wanted);
			assert_int_equal(one->line, line);
			snprintf(wanted, sizeof(wanted), "deny it at %s, too", second);
			assert_string_equal(one->hint, wanted);
		}
		policy_free(policy);
		policy_diagnostics_free(diagnostics);
	}
	files_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests_name("policy-mounts", tests, NULL, NULL);
}
