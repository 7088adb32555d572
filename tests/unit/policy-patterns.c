/* SPDX-License-Identifier: MIT */
/* policy-patterns.c: which paths a pattern, a variable and a map mean. */
#include "policy-support.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define R  POLICY_READ
#define W  POLICY_WRITE
#define ME 1002u

/* Of a policy for `user 1002`. */
static const struct verdicts rows[] = {
	{"allow read /a/b", "+/a/b -/a -/a/b/c -/ -/a/bb -/a/B"},
	{"allow read /", "+/ -/a"},
	{"allow read /a/*", "+/a/b +/a/.b -/a -/a/b/c"},
	{"allow read /a/*.log", "+/a/x.log +/a/.log -/a/x.logs -/a/log"},
	{"allow read /a/?", "+/a/b -/a/bb -/a"},
	{"allow read /a/x?y*", "+/a/xzy +/a/xzyy -/a/xy"},
	{"allow read /a/[abc]x", "+/a/ax +/a/cx -/a/dx -/a/x"},
	{"allow read /a/[!abc]", "+/a/d -/a/a -/a/dd"},
	{"allow read /a/[^a-c]", "+/a/d -/a/b"},
	{"allow read /a/[a-c0-9]", "+/a/b +/a/5 -/a/- -/a/d"},
	{"allow read /a/[]x]", "+/a/] +/a/x -/a/y"},
	{"allow read /a/[-x]", "+/a/- +/a/x -/a/y"},
	{"allow read /a/[x-]", "+/a/- +/a/x -/a/y"},
	{"allow read /a/[\\]\\-]", "+/a/] +/a/- -/a/\\"},
	{"allow read /a/[a\\-c]", "+/a/a +/a/- +/a/c -/a/b"},
	{"allow read /a/\\*", "+/a/* -/a/b"},
	{"allow read /a/\\[x\\]", "+/a/[x] -/a/x"},
	{"allow read \"/a/My Files/*\"", "+/a/My_Files/x -/a/My_Files"},
	{"allow read /a/My\\ Files", "+/a/My_Files"},
	{"allow read /a/\"My Files\"/x", "+/a/My_Files/x"},
	{"allow read /a/\\x41\\x2a", "+/a/A* -/a/Ab"},
	{"allow read /a#b # comment", "+/a#b -/a"},
	{"allow read /a/**", "+/a/b +/a/b/c +/a/b/c/d -/a -/b -/ab"},
	{"allow read /**", "+/a +/a/b -/"},
	{"allow read /a/**/z", "+/a/z +/a/b/z +/a/b/c/z -/a -/a/b -/z"},
	{"allow read /**/z", "+/z +/a/z +/a/b/z -/a/z/b"},
	{"allow read /a/**/**/z", "+/a/z +/a/b/z"},
	{"allow read /a/**/b/**/c", "+/a/b/c +/a/x/b/y/c +/a/b/b/c/c -/a/c -/a/c/b"},
	{"allow read /a/**/*.c", "+/a/x.c +/a/b/x.c -/a/x.h"},
	{"allow read /a/**/x/*", "+/a/x/y +/a/x/x +/a/x/x/x -/a/x"},
	{"allow read /a/*/c", "+/a/b/c -/a/c -/a/b/b/c"},
	{"allow read /a{,/**}", "+/a +/a/b +/a/b/c -/b"},
	{"allow read /{a,b}/x{1,2,}", "+/a/x1 +/b/x2 +/b/x -/c/x1 -/a/x3"},
	{"allow read /a/{x/y,z}", "+/a/x/y +/a/z -/a/x"},
	{"allow read /a/x,y", "+/a/x,y -/a/x"},
	{"allow read /a/b /c", "+/a/b +/c -/a"},
	{"allow read /a/%U", "+/a/1002 -/a/1003 -/a/%U"},
	{"allow read /a/x-%U.*", "+/a/x-1002.log -/a/x-10022.log"},
	{"allow read /a/%u/x", "+/a/alice/x -/a/bob/x"},
	{"allow read /a/*%u*", "+/a/alice +/a/xxalicexx -/a/alic"},
	{"allow read %h/x", "+/home/alice/x -/home/bob/x -/x -/home/alice"},
	{"allow read %h", "+/home/alice -/home -/home/alice/x"},
	{"allow read %h/**", "+/home/alice/x +/home/alice/x/y -/home/alice -/home/alicex/y"},
	{"allow read /a/%%", "+/a/% -/a/x"},
	{"allow read /a/**\ndeny read /a/b", "+/a/c -/a/b -/a/b/c +/a/bb"},
	{"deny read /a/b\nallow read /a/**", "+/a/c -/a/b -/a/b/c"},
	{"allow read /a/b/c\ndeny read /a/*", "-/a/b/c -/a/b"},
	{"allow read /**\ndeny read /**/.ssh", "+/a -/.ssh -/a/.ssh -/a/.ssh/b/c +/a/.sshd"},
	{"allow read /a/**\ndeny write /a/b", "+/a/b"},
	{"allow read /a/**\ndeny all /a/b/*", "+/a/b -/a/b/c -/a/b/c/d"},
	{"allow read /**\ndeny all /", "-/a -/"},
	{"allow read /**\ndeny read %h/.*", "+/home/alice/x -/home/alice/.x +/home/bob/.x"},
	{"allow read /*/*/c\nallow read /a/*/d", "+/a/b/c +/a/b/d +/x/b/c -/x/b/d"},
	{"allow write /a/b", "-/a/b"},
	{"allow create /a/b", "-/a/b"},
	/* Asked in a way that is not canonical, nothing matches. */
	{"allow read /** /", "-/a//b -/a/ -// -/a/./b -/a/../b -/.. -a +/a/..b +/... -/a/b/.."},
	{"allow read /a/*", "-/a/ -/a/. -/a/.. -/a//"},
};

static bool is_readable(const struct policy *policy, const char *path)
{
	return allowed(policy, ME, R, path);
}

static void test_patterns(void **state)
{
	(void)state;
	check_verdicts("user 1002", rows, sizeof(rows) / sizeof(rows[0]), is_readable);
}

static void test_variables(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow read /a/%u/x %h/y /n/%U\n"
					  "allow read /b/**\n"
					  "deny read /b/%u\n"
					  "}\n");
	(void)state;
	/* A user named "*", "..", "a/b", and homes that are none. */
	assert_true(allowed(policy, 1101, R, "/a/*/x"));
	assert_false(allowed(policy, 1101, R, "/a/alice/x"));
	assert_false(allowed(policy, 1102, R, "/a/../x"));
	assert_false(allowed(policy, 1103, R, "/a/a/b/x"));
	assert_false(allowed(policy, 1102, R, "/home/../y"));
	assert_true(allowed(policy, 1104, R, "/home/x*/y"));
	assert_false(allowed(policy, 1104, R, "/home/xy/y"));
	assert_false(allowed(policy, 1105, R, "/y"));
	assert_false(allowed(policy, 1105, R, "//y"));
	/* The first name of a uid is its name. */
	assert_true(allowed(policy, 1003, R, "/a/bob/x"));
	assert_false(allowed(policy, 1003, R, "/a/bobby/x"));
	/* Who has no name gets nothing by the allow, and is denied everywhere by the deny. */
	assert_true(allowed(policy, 1002, R, "/b/x"));
	assert_false(allowed(policy, 1002, R, "/b/alice/x"));
	assert_int_equal(decide(policy, 4242, R, "/b/x").reason, POLICY_DENY_RULE);
	assert_int_equal(decide(policy, 4242, R, "/n/4242").reason, POLICY_DENY_RULE);
	assert_int_equal(decide(policy, 4242, W, "/b/x").reason, POLICY_NO_RULE);
	assert_int_equal(decide(policy, 1103, R, "/b/x").reason, POLICY_DENY_RULE);
	policy_free(policy);
}

static void test_map(void **state)
{
	static const struct {
		const char *asked, *mapped;
	} maps[] = {
		{"/var/run", "/run"},
		{"/var/run/x", "/run/x"},
		{"/var/runx", "/var/runx"},
		{"/old", "/"},
		{"/old/a", "/a"},
		{"/a/b/c", "/deep/c"},
		{"/a/x", "/flat/x"},
		{"/run/x", "/run/x"},
		{"/deep/x", "/flat"},
		{"/", "/"},
	};
	struct policy *policy = load_text("map /var/run /run\nmap /old /\nmap /a/b /deep\n"
					  "map /a /flat\nmap /deep/x /flat\n"
					  "subject s {\nuser *\nallow read /run/x\n}\n");
	char buffer[POLICY_PATH_BUFFER], path[POLICY_PATH_BUFFER];

	(void)state;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		ssize_t length = policy_map(policy, maps[i].asked, strlen(maps[i].asked), buffer);

		assert_string_equal(buffer, maps[i].mapped);
		assert_int_equal(length, strlen(maps[i].mapped));
	}
	memset(path, 'x', sizeof(path));
	memcpy(path, "/a/", 3);
	assert_int_equal(policy_map(policy, path, 4095, buffer), -ENAMETOOLONG);
	policy_free(policy);
	policy = load_text("map / /root\nsubject s {\nuser *\nallow read /x\n}\n");
	assert_int_equal(policy_map(policy, "/", 1, buffer), 5);
	assert_string_equal(buffer, "/root");
	assert_int_equal(policy_map(policy, "/a", 2, buffer), 7);
	assert_string_equal(buffer, "/root/a");
	policy_free(policy);
}

static void test_path_check(void **state)
{
	static const struct {
		const char *path;
		int status;
	} paths[] = {
		{"", -ENOENT},
		{"/", 0},
		{"/a", 0},
		{"/a/b", 0},
		{"a", -EINVAL},
		{"/a/", -EINVAL},
		{"//", -EINVAL},
		{"//a", -EINVAL},
		{"/a//b", -EINVAL},
		{"/.", -EINVAL},
		{"/..", -EINVAL},
		{"/a/..", -EINVAL},
		{"/a/./b", -EINVAL},
		{"/...", 0},
		{"/.a", 0},
		{"/..a/b", 0},
	};
	char path[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(
			policy_path_check(paths[i].path, strlen(paths[i].path)), paths[i].status);
	assert_int_equal(policy_path_check("/a\0b", 4), -EINVAL);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	assert_int_equal(policy_path_check(path, 256), 0);
	assert_int_equal(policy_path_check(path, 257), -ENAMETOOLONG);
	for (size_t i = 0; i < sizeof(path); i += 2)
		path[i] = '/';
	assert_int_equal(policy_path_check(path, 4094), 0);
	assert_int_equal(policy_path_check(path, 4095), -EINVAL);
	path[4094] = 'a';
	assert_int_equal(policy_path_check(path, 4095), 0);
	assert_int_equal(policy_path_check(path, 4096), -ENAMETOOLONG);
}

/* Patterns made to be slow, against paths made to be slow: each in a bounded time. */
static void test_no_explosion(void **state)
{
	char path[4096];
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow read /**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b\n"
					  "allow read /*a*a*a*a*a*a*a*a*a*a*b\n"
					  "allow read /**/a/**/*/**/a/**/?/**/[ab]/**/c\n"
					  "}\n");
	(void)state;
	for (size_t i = 0; i < 4094; i += 2)
		memcpy(path + i, "/a", 2);
	path[4094] = '\0';
	for (unsigned int i = 0; i < 20; i++)
		assert_false(allowed(policy, 5, R, path));
	path[4093] = 'b';
	assert_true(allowed(policy, 5, R, path));
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[256] = '\0';
	assert_false(allowed(policy, 5, R, path));
	path[255] = 'b';
	assert_true(allowed(policy, 5, R, path));
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_patterns, files_setup),
		cmocka_unit_test_setup(test_variables, files_setup),
		cmocka_unit_test_setup(test_map, files_setup),
		cmocka_unit_test(test_path_check),
		cmocka_unit_test_setup(test_no_explosion, files_setup),
	};

	return cmocka_run_group_tests_name("policy-patterns", tests, NULL, NULL);
}
