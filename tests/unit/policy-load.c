/* SPDX-License-Identifier: MIT */
/* policy-load.c: reading: several files, several errors in one run, and how they are shown. */
#include "policy-support.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* All that policy_diagnostic_print writes for a policy. */
static char *printed(const char *text, size_t length)
{
	struct policy_diagnostics *diagnostics;
	char *result;
	size_t size;
	FILE *stream = open_memstream(&result, &size);

	file_set(TEST_FILE, text, length);
	policy_free(load(&diagnostics));
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++)
		policy_diagnostic_print(stream, policy_diagnostics_get(diagnostics, i));
	fclose(stream);
	policy_diagnostics_free(diagnostics);
	return result;
}

static void test_printed(void **state)
{
	static const char text[] = "subject s {\n"
				   "\tuser alice\n"
				   "\tallow raed /x\n"
				   "\tallow read \xc3\xa4/x\n"
				   "}\n";
	char *result = printed(text, strlen(text));

	(void)state;
	assert_string_equal(result, TEST_FILE ":3:8: error: unknown right 'raed'\n"
					      "    \tallow raed /x\n"
					      "    \t      ^~~~\n"
					      "  hint: did you mean 'read'?\n" TEST_FILE
					      ":4:13: error: a pattern must be an absolute path\n"
					      "    \tallow read \xc3\xa4/x\n"
					      "    \t           ^~~\n"
					      "  hint: a path begins with '/' or %h\n");
	free(result);
}

static void test_escaped(void **state)
{
	static const char text[] = "subject s {\n\tuser alice\x1b[31m\n\tallow re\xff /x\n}\n";
	char *result = printed(text, strlen(text));

	(void)state;
	assert_null(strchr(result, '\x1b'));
	assert_null(strchr(result, '\xff'));
	assert_non_null(strstr(result, "alice\\x1b[31m\n    \t          ^~~~\n"));
	assert_non_null(strstr(result, "unknown right 're\\xff'"));
	free(result);
}

static void test_long_line(void **state)
{
	char text[3000], *result;
	size_t length;

	(void)state;
	strcpy(text, "subject s {\nuser 5\nallow read /");
	length = strlen(text);
	memset(text + length, 'a', 200);
	strcpy(text + length + 200, " /b bad /");
	length = strlen(text);
	memset(text + length, 'c', 200);
	strcpy(text + length + 200, "\n}\n");
	result = printed(text, strlen(text));
	assert_non_null(strstr(result, ":3:217: error: unknown option 'bad'\n    ...aaa"));
	assert_non_null(strstr(result, "ccc...\n"));
	free(result);
}

static void test_several_errors(void **state)
{
	static const char text[] = "bogus\n"
				   "subject s {\n"
				   "\tuser nosuch\n"
				   "\tallow raed,read,wirte /x y/z\n"
				   "}\n"
				   "allow read /x\n";
	(void)state;
	assert_string_equal(load_wrong(text, 0), "1:1: error: unknown statement 'bogus'");
	assert_string_equal(load_wrong(text, 1), "3:7: error: there is no user 'nosuch'");
	assert_string_equal(load_wrong(text, 2), "4:8: error: unknown right 'raed'");
	assert_string_equal(load_wrong(text, 3), "4:18: error: unknown right 'wirte'");
	assert_string_equal(load_wrong(text, 4), "4:27: error: a pattern must be an absolute path");
	assert_string_equal(load_wrong(text, 5), "6:1: error: 'allow' outside a subject");
	assert_string_equal(load_wrong(text, 6), "nothing");
}

static void test_missing_file(void **state)
{
	struct policy_diagnostics *diagnostics;
	const struct policy_diagnostic *one;

	(void)state;
	assert_null(load(&diagnostics));
	one = policy_diagnostics_get(diagnostics, 0);
	assert_string_equal(one->file, TEST_FILE);
	assert_int_equal(one->line, 0);
	assert_string_equal(one->message, "does not exist");
	assert_string_equal(one->hint, "create it, or name another with --policy");
	assert_null(policy_diagnostics_get(diagnostics, 1));
	policy_diagnostics_free(diagnostics);
}

static void test_empty(void **state)
{
	struct policy_diagnostics *diagnostics;
	struct policy *policy;

	(void)state;
	file_set(TEST_FILE, "", 0);
	policy = load(&diagnostics);
	assert_int_equal(policy_diagnostics_count(diagnostics), 1);
	assert_int_equal(policy_diagnostics_get(diagnostics, 0)->severity, POLICY_WARNING);
	assert_false(allowed(policy, 0, POLICY_READ, "/"));
	policy_free(policy);
	policy_diagnostics_free(diagnostics);
}

static void add_file(const char *path, const char *text)
{
	file_set(path, text, strlen(text));
}

static void test_include(void **state)
{
	struct policy_summary summary;
	struct policy *policy;

	(void)state;
	add_file("/etc/fdbroker/d/b.policy", "subject b {\nuser 2\nallow read $x/b\n}\n");
	add_file("/etc/fdbroker/d/a.policy",
		"include sub/c\nsubject a {\nuser 1\nallow read $x/a\n}\n");
	add_file("/etc/fdbroker/d/sub/c", "define x /x\n");
	add_file("/etc/fdbroker/d/other", "nonsense\n");
	policy = load_text("include d/*.policy\ninclude none/*\n");
	policy_summarize(policy, &summary);
	assert_int_equal(summary.files, 4);
	assert_int_equal(summary.subjects, 2);
	assert_int_equal(summary.rules, 2);
	assert_int_equal(summary.rights, POLICY_READ | POLICY_STAT);
	assert_true(allowed(policy, 1, POLICY_READ, "/x/a"));
	assert_string_equal(
		decide(policy, 2, POLICY_READ, "/x/b").rule->file, "/etc/fdbroker/d/b.policy");
	policy_free(policy);
}

/* A wildcard in a name that is written otherwise than it is. */
static void test_include_glob(void **state)
{
	static const char *const written[] = {"\"p d\"/*.policy", "p\\ d/*.policy",
		"p\\x20d/*.policy", "\"p d/*.policy\"", "\"p\"\\ d/[a-c]*.policy",
		"p?d/*.p\"olic\"y"};
	struct policy_summary summary;
	struct policy *policy;
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		files_reset();
		add_file("/etc/fdbroker/p d/b.policy", "subject b {\nuser 2\nallow read /b\n}\n");
		snprintf(text, sizeof(text), "include %s\n", written[i]);
		policy = load_text(text);
		policy_summarize(policy, &summary);
		if (summary.files != 2)
			fail_msg("%s", text);
		policy_free(policy);
	}
	files_reset();
	add_file("/etc/fdbroker/d/a*", "");
	add_file("/etc/fdbroker/d/ab", "");
	policy = load_text("include ?/a\\*\n");
	policy_summarize(policy, &summary);
	assert_int_equal(summary.files, 2);
	policy_free(policy);
	assert_string_equal(load_wrong("define x d\ninclude $x/*\n", 0),
		"2:9: error: '$' has no meaning in the name of a file");
	assert_string_equal(load_wrong("include {d,e}/*\n", 0),
		"1:9: error: '{' has no meaning in the name of a file");
	assert_string_equal(load_wrong("include d/%u*\n", 0),
		"1:11: error: '%' has no meaning in the name of a file");
}

static void test_include_errors(void **state)
{
	struct policy_diagnostics *diagnostics;

	(void)state;
	assert_string_equal(load_wrong("include none\n", 0),
		"1:9: error: cannot read '/etc/fdbroker/none': it does not exist");
	assert_string_equal(load_wrong("include policy\n", 0),
		"1:9: error: '/etc/fdbroker/policy' is read already");
	files_reset();
	/* Under ever new names, which no comparison finds. */
	add_file(TEST_FILE, "include ././././policy\n");
	assert_null(load(&diagnostics));
	policy_diagnostics_free(diagnostics);
	files_reset();
	/* An error in the second file comes after all those of the first. */
	add_file("/etc/fdbroker/two", "two\n");
	add_file(TEST_FILE, "include two\none\n");
	assert_null(load(&diagnostics));
	assert_int_equal(policy_diagnostics_count(diagnostics), 2);
	assert_string_equal(
		policy_diagnostics_get(diagnostics, 0)->message, "unknown statement 'one'");
	assert_string_equal(policy_diagnostics_get(diagnostics, 1)->file, "/etc/fdbroker/two");
	policy_diagnostics_free(diagnostics);
}

static void test_cycle(void **state)
{
	struct policy_diagnostics *diagnostics;
	const struct policy_diagnostic *one;

	(void)state;
	add_file(TEST_FILE, "include a\n");
	add_file("/etc/fdbroker/a", "\ninclude policy\n");
	assert_null(load(&diagnostics));
	assert_int_equal(policy_diagnostics_count(diagnostics), 1);
	one = policy_diagnostics_get(diagnostics, 0);
	assert_string_equal(one->file, "/etc/fdbroker/a");
	assert_int_equal(one->line, 2);
	assert_int_equal(one->column, 9);
	assert_string_equal(one->message, "'/etc/fdbroker/policy' is read already");
	policy_diagnostics_free(diagnostics);
}

static void test_defines(void **state)
{
	struct policy *policy = load_text("define logs /var/log/{a,b}\n"
					  "define all $logs /srv\n"
					  "define ext log txt\n"
					  "subject s {\nuser *\n"
					  "allow read $all/x.$ext\n"
					  "allow read /y/{1,$ext}\n"
					  "}\n");
	(void)state;
	assert_true(allowed(policy, 5, POLICY_READ, "/var/log/a/x.log"));
	assert_true(allowed(policy, 5, POLICY_READ, "/var/log/b/x.txt"));
	assert_true(allowed(policy, 5, POLICY_READ, "/srv/x.txt"));
	assert_true(allowed(policy, 5, POLICY_READ, "/y/1"));
	assert_true(allowed(policy, 5, POLICY_READ, "/y/txt"));
	assert_false(allowed(policy, 5, POLICY_READ, "/srv/x.c"));
	policy_free(policy);
}

static void test_include_depth(void **state)
{
	struct policy *policy;
	char path[64], text[64];

	(void)state;
	for (unsigned int last = 16; last <= 17; last++) {
		files_reset();
		for (unsigned int i = 1; i <= last; i++) {
			snprintf(path, sizeof(path), "/etc/fdbroker/f%u", i);
			snprintf(text, sizeof(text), "include f%u\n", i + 1);
			if (i == last)
				text[0] = '\0';
			add_file(path, text);
		}
		if (last == 16) {
			policy = load_text("include f1\n");
			policy_free(policy);
		} else {
			assert_string_equal(load_wrong("include f1\n", 0),
				"1:9: error: files include one another more than 16 deep");
		}
	}
}

/* As many files as are asked for, all but the first empty. */
static int read_many(
	void *context, const char *path, char **text, size_t *length, const char **reason)
{
	(void)context;
	(void)reason;
	*text = strdup(strcmp(path, TEST_FILE) == 0 ? "include d/*\n" : "");
	*length = strlen(*text);
	return 0;
}

static int glob_many(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	char path[64];

	(void)pattern;
	(void)reason;
	*count = *(const size_t *)context;
	*paths = calloc(*count, sizeof(**paths));
	for (size_t i = 0; i < *count; i++) {
		snprintf(path, sizeof(path), "/etc/fdbroker/d/%06zu", i);
		(*paths)[i] = strdup(path);
	}
	return 0;
}

static void test_include_count(void **state)
{
	(void)state;
	/* With the first there are 10,000, which is the most. */
	for (size_t count = 9999; count <= 10000; count++) {
		struct policy_diagnostics *diagnostics = policy_diagnostics_new();
		struct policy_environment environment;
		struct policy *policy;

		environment_init(&environment);
		environment.context = &count;
		environment.read_file = read_many;
		environment.glob = glob_many;
		policy_load(TEST_FILE, &environment, diagnostics, &policy);
		assert_int_equal(policy != NULL, count == 9999);
		if (!policy)
			assert_string_equal(policy_diagnostics_get(diagnostics, 0)->message,
				"more than 10000 files");
		policy_free(policy);
		policy_diagnostics_free(diagnostics);
	}
}

/* Each define doubles the one before: 36 lines that would be a terabyte. */
static void test_define_bomb(void **state)
{
	char text[8192], *at = text;
	struct policy *policy;

	(void)state;
	at += sprintf(at, "define a0 /xx\n");
	for (unsigned int i = 1; i < 36; i++)
		at += sprintf(at, "define a%u $a%u$a%u\n", i, i - 1, i - 1);
	assert_string_equal(
		load_wrong(text, 0), "12:12: error: it stands for a path of more than 4095 bytes");
	/* Many that are bearable, one by one. */
	files_reset();
	at = text;
	at += sprintf(at, "define d {0,1,2,3,4,5,6,7,8,9}\ndefine n /x");
	for (unsigned int i = 0; i < 2000; i++)
		*at++ = 'x';
	at += sprintf(at, "/$d$d$d\n");
	for (unsigned int i = 0; i < 40; i++)
		at += sprintf(at, "define e%u $n/x\n", i);
	assert_string_equal(load_wrong(text, 0),
		"18:12: error: the patterns of the policy take up more than 32 MiB");
	files_reset();
	policy =
		load_text("define a /xx\ndefine b $a$a\nsubject s {\nuser *\nallow read $b$b\n}\n");
	assert_true(allowed(policy, 5, POLICY_READ, "/xx/xx/xx/xx"));
	policy_free(policy);
}

static void test_many_exes(void **state)
{
	size_t size = 200000, count;
	char *text = malloc(size), *at = text, *last = NULL;
	struct policy *policy;

	(void)state;
	at += sprintf(at, "subject s {\nuser *\n");
	for (unsigned int i = 0; i < 2 * POLICY_EXES_MAX; i++)
		at += sprintf(at, "exe /bin/x%u\n", i % POLICY_EXES_MAX);
	last = at;
	strcpy(at, "}\n");
	policy = load_text(text);
	policy_exes(policy, &count);
	assert_int_equal(count, POLICY_EXES_MAX);
	policy_free(policy);
	files_reset();
	strcpy(last, "exe /bin/y\n}\n");
	assert_string_equal(
		load_wrong(text, 0), "2051:5: error: more than 1024 different executables");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_printed, files_setup),
		cmocka_unit_test_setup(test_escaped, files_setup),
		cmocka_unit_test_setup(test_long_line, files_setup),
		cmocka_unit_test_setup(test_several_errors, files_setup),
		cmocka_unit_test_setup(test_missing_file, files_setup),
		cmocka_unit_test_setup(test_empty, files_setup),
		cmocka_unit_test_setup(test_include, files_setup),
		cmocka_unit_test_setup(test_include_glob, files_setup),
		cmocka_unit_test_setup(test_include_errors, files_setup),
		cmocka_unit_test_setup(test_cycle, files_setup),
		cmocka_unit_test_setup(test_defines, files_setup),
		cmocka_unit_test_setup(test_include_depth, files_setup),
		cmocka_unit_test_setup(test_include_count, files_setup),
		cmocka_unit_test_setup(test_define_bomb, files_setup),
		cmocka_unit_test_setup(test_many_exes, files_setup),
	};

	return cmocka_run_group_tests_name("policy-load", tests, NULL, NULL);
}
