/* SPDX-License-Identifier: MIT */
/* policy-decide.c: what a policy that loads allows and denies. */
#include "policy-support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define R  POLICY_READ
#define W  POLICY_WRITE
#define C  POLICY_CREATE
#define S  POLICY_STAT
#define ME 1002u

/*
 * One line of a policy for `user 1002`, and what becomes of paths: + allowed, - not, separated by
 * blanks. An underscore in a path stands for a blank.
 */
static const struct row {
	const char *rules;
	const char *paths;
} rows[] = {
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

static void test_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512], *paths = strdup(rows[i].paths), *save;
		struct policy *policy;

		files_reset();
		snprintf(text, sizeof(text), "subject s {\n\tuser 1002\n%s\n}\n", rows[i].rules);
		policy = load_text(text);
		for (char *path = strtok_r(paths, " ", &save); path;
			path = strtok_r(NULL, " ", &save)) {
			for (char *c = path; *c; c++)
				*c = *c == '_' ? ' ' : *c;
			if (allowed(policy, ME, R, path + 1) != (*path == '+'))
				fail_msg("%s: %s", rows[i].rules, path);
		}
		free(paths);
		policy_free(policy);
	}
	files_reset();
}

static void test_rights(void **state)
{
	struct policy *policy =
		load_text("subject s {\n"
			  "user alice\n"
			  "allow read /r\n"
			  "allow write /w\n"
			  "allow read,write,create /rwc\n"
			  "allow create /c\n"
			  "allow list,watch /l\n"
			  "allow tree /t\n"
			  "allow read /x\n"
			  "allow write /x\n"
			  "allow readlink,mkdir,delete,rename,append,write-tree /o\n"
			  "}\n");
	(void)state;
	assert_true(allowed(policy, ME, R | S, "/r"));
	assert_false(allowed(policy, ME, R | W, "/r"));
	assert_false(allowed(policy, ME, R, "/w"));
	assert_true(allowed(policy, ME, W | S, "/w"));
	assert_true(allowed(policy, ME, R | W | C, "/rwc"));
	/* create alone shows nothing */
	assert_false(allowed(policy, ME, S, "/c"));
	assert_true(allowed(policy, ME, S, "/l"));
	assert_true(allowed(policy, ME, S, "/t"));
	assert_true(allowed(policy, ME, POLICY_WATCH, "/l"));
	/* rules add up */
	assert_true(allowed(policy, ME, R | W, "/x"));
	assert_true(allowed(policy, ME, POLICY_MKDIR | POLICY_RENAME | POLICY_APPEND, "/o"));
	assert_false(allowed(policy, ME, 0, "/r"));
	assert_false(allowed(policy, ME, POLICY_CONNECT, "/r"));
	assert_int_equal(decide(policy, ME, R | W | C, "/r").missing, W | C);
	assert_int_equal(decide(policy, ME, R | W, "/r").reason, POLICY_NO_RULE);
	assert_int_equal(decide(policy, 1003, R, "/r").reason, POLICY_NO_SUBJECT);
	policy_free(policy);
}

static void test_callers(void **state)
{
	struct policy *policy =
		load_text("subject a {\nuser 1001 2000-2999\nallow read /u\n}\n"
			  "subject b {\ngroup adm logs\nallow read /g\n}\n"
			  "subject c {\nuser alice bob\ngroup adm\nallow read /ug\n}\n"
			  "subject d {\nuser *\nallow read /all\n}\n"
			  "subject e {\nuser *\ngroup *\nallow read /every\n}\n"
			  "subject f {\nuser 60000-70000\nallow read /range\n}\n");
	gid_t adm[] = {7, 4}, overflow[] = {65534};
	struct policy_identity alice = {.uid = 1002, .gid = 1002, .groups = adm, .group_count = 2};
	struct policy_identity unmapped = {.uid = 65534, .gid = 4, .groups = adm, .group_count = 2};
	struct policy_identity no_group = {
		.uid = 65000, .gid = 65534, .groups = overflow, .group_count = 1};
	(void)state;
	assert_true(allowed(policy, 1001, R, "/u"));
	assert_true(allowed(policy, 2500, R, "/u"));
	assert_false(allowed(policy, 3000, R, "/u"));
	assert_true(allowed(policy, 4, R, "/g"));
	assert_true(allowed(policy, 30, R, "/g"));
	assert_false(allowed(policy, 1002, R, "/ug"));
	assert_int_equal(decide_as(policy, &alice, R, "/ug").reason, POLICY_ALLOWED);
	assert_true(allowed(policy, 12345, R, "/all"));
	assert_true(allowed(policy, 12345, R, "/every"));
	/* Who is not mapped matches nothing: neither by number nor by a range or `*` around it. */
	assert_int_equal(decide_as(policy, &unmapped, R, "/all").reason, POLICY_NO_SUBJECT);
	assert_int_equal(decide_as(policy, &unmapped, R, "/g").reason, POLICY_NO_SUBJECT);
	assert_int_equal(decide_as(policy, &no_group, R, "/range").reason, POLICY_ALLOWED);
	assert_int_equal(decide_as(policy, &no_group, R, "/every").reason, POLICY_NO_RULE);
	assert_int_equal(decide(policy, (uid_t)-1, R, "/all").reason, POLICY_NO_SUBJECT);
	policy_free(policy);
}

static void test_narrowing(void **state)
{
	struct policy *policy = load_text(
		"subject a {\nuser *\nexe /usr/bin/x /usr/bin/y\nallow read /e\nlog grants\n}\n"
		"subject b {\nuser *\nunit x.service\nallow read /u\n}\n"
		"subject c {\nuser *\nlabel web\nallow read /l\n}\n"
		"subject d {\nuser *\nvia /run/x @y\nallow read /v\ndelegate\n}\n");
	const char *exes[] = {"/usr/bin/y"};
	struct policy_identity all = {.uid = 5,
		.gid = 5,
		.exes = exes,
		.exe_count = 1,
		.unit = "x.service",
		.label = "web",
		.via = "@y"};
	struct policy_identity none = {.uid = 5, .gid = 5};
	struct policy_identity only_via = {.uid = 5, .gid = 5, .via = "@y"};
	struct policy_caller *caller;
	size_t count;
	static const char *const paths[] = {"/e", "/u", "/l", "/v"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(decide_as(policy, &all, R, paths[i]).reason, POLICY_ALLOWED);
		assert_int_equal(decide_as(policy, &none, R, paths[i]).reason, POLICY_NO_SUBJECT);
	}
	assert_string_equal(policy_exes(policy, &count)[1], "/usr/bin/y");
	assert_int_equal(count, 2);
	assert_true(policy_wants_unit(policy));
	assert_int_equal(policy_caller_new(policy, &all, &caller), 0);
	assert_int_equal(policy_caller_subjects(caller), 4);
	assert_string_equal(policy_caller_subject(caller, 3), "d");
	/* One subject delegates and three do not. */
	assert_false(policy_caller_delegates(caller));
	/* One says that grants are recorded: that is enough. */
	assert_true(policy_caller_logs_grants(caller));
	policy_caller_free(caller);
	assert_int_equal(policy_caller_new(policy, &only_via, &caller), 0);
	assert_true(policy_caller_delegates(caller));
	policy_caller_free(caller);
	assert_int_equal(policy_caller_new(policy, &none, &caller), 0);
	assert_false(policy_caller_delegates(caller));
	assert_false(policy_caller_logs_grants(caller));
	policy_caller_free(caller);
	policy_free(policy);
}

/* A deny of any subject that matches beats the allows of all. */
static void test_denies_across_subjects(void **state)
{
	struct policy *policy = load_text("subject a {\nuser alice bob\nallow read,write /a/**\n}\n"
					  "subject b {\ngroup adm\ndeny write /a/b\n}\n");
	gid_t adm[] = {4};
	struct policy_identity alice = {.uid = 1002, .gid = 1002, .groups = adm, .group_count = 1};
	struct policy_decision decision;

	(void)state;
	assert_true(allowed(policy, ME, R | W, "/a/b/c"));
	decision = decide_as(policy, &alice, R | W, "/a/b/c");
	assert_int_equal(decision.reason, POLICY_DENY_RULE);
	assert_int_equal(decision.missing, W);
	assert_string_equal(decision.rule->subject, "b");
	assert_int_equal(decision.rule->line, 7);
	assert_string_equal(decision.rule->file, TEST_FILE);
	assert_int_equal(decide_as(policy, &alice, R, "/a/b/c").reason, POLICY_ALLOWED);
	policy_free(policy);
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

static void test_modifiers(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\n"
			  "allow read,write,create /a/** mode 0666 owner alice:adm\n"
			  "allow create /a/b/* mode 0640 owner alice:adm\n"
			  "allow create /a/c/* owner bob\n"
			  "allow read /d/* type chardev,fifo\n"
			  "allow read,write /d/x* type chardev\n"
			  "allow write /d/y\n"
			  "allow read /x/**\n"
			  "allow read /x/bin/* exec\n"
			  "allow create /plain\n"
			  "allow read /t/** timeout 9\n"
			  "allow read,write /t/x timeout 5\n"
			  "allow read /t/x\n"
			  "allow write /t/x timeout 3\n"
			  "}\n");
	struct policy_decision decision = decide(policy, 5, R | W | C, "/a/x");

	(void)state;
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_int_equal(decision.mode, 0666);
	assert_int_equal(decision.owner, 1002);
	assert_int_equal(decision.group, 4);
	decision = decide(policy, 5, R | W | C, "/a/b/x");
	assert_int_equal(decision.mode, 0640);
	assert_int_equal(decide(policy, 5, C, "/a/c/x").reason, POLICY_OWNERS_DIFFER);
	assert_int_equal(decide(policy, 5, R, "/t/y").timeout, 9);
	assert_int_equal(decide(policy, 5, R, "/t/x").timeout, 5);
	assert_int_equal(decide(policy, 5, R | W, "/t/x").timeout, 3);
	assert_int_equal(decide(policy, 5, R, "/x/y").timeout, 0);
	assert_int_equal(decide(policy, 5, R, "/a/c/x").reason, POLICY_ALLOWED);
	decision = decide(policy, 5, C, "/plain");
	assert_int_equal(decision.mode, 0644);
	assert_int_equal(decision.owner, POLICY_OWNER_CALLER);
	assert_int_equal(decision.group, POLICY_GROUP_CALLER);
	assert_int_equal(
		decide(policy, 5, R, "/d/x1").types, POLICY_TYPE_CHARDEV | POLICY_TYPE_FIFO);
	assert_int_equal(decide(policy, 5, R | W, "/d/x1").types, POLICY_TYPE_CHARDEV);
	/* Read of a device and write of a file do not make write of a device. */
	assert_int_equal(decide(policy, 5, R | W, "/d/y").types, 0);
	assert_true(decide(policy, 5, R, "/x/bin/y").exec);
	assert_false(decide(policy, 5, R, "/x/y").exec);
	policy_free(policy);
}

static const struct policy_directory *find_directory(const struct policy *policy, const char *path)
{
	size_t count;
	const struct policy_directory *list = policy_directories(policy, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].path, path) == 0)
			return &list[i];
	return NULL;
}

static void test_directories(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow read /var/log/x/y*.log /var/log/x/access.log\n"
					  "allow write /srv/%u/x\n"
					  "allow read /srv/{a,b}/x exec\n"
					  "allow read /top %h/z\n"
					  "allow read,write /var/**\n"
					  "deny read /denied/here/x\n"
					  "}\n");
	size_t count;
	const struct policy_directory *list = policy_directories(policy, &count);

	(void)state;
	assert_int_equal(count, 7);
	assert_int_equal(find_directory(policy, "/var/log/x")->rights, R | S);
	assert_int_equal(find_directory(policy, "/var/log/x")->line, 3);
	assert_false(find_directory(policy, "/var/log/x")->variables);
	assert_int_equal(find_directory(policy, "/srv/%u")->rights, W | S);
	assert_true(find_directory(policy, "/srv/%u")->variables);
	assert_int_equal(find_directory(policy, "/srv/a")->exec_rights, R | S);
	assert_int_equal(find_directory(policy, "/srv/a")->rights, 0);
	assert_non_null(find_directory(policy, "/"));
	assert_null(find_directory(policy, "/denied/here"));
	/* The deepest of the highest right: for writing /var, for reading the one further down. */
	assert_string_equal(
		list[decide(policy, 1002, R, "/var/log/x/yz.log").directory].path, "/var/log/x");
	assert_string_equal(
		list[decide(policy, 1002, R | W, "/var/log/x/yz.log").directory].path, "/var");
	assert_string_equal(
		list[decide(policy, 1002, W | S, "/srv/alice/x").directory].path, "/srv/%u");
	assert_string_equal(list[decide(policy, 1002, R, "/home/alice/z").directory].path, "%h");
	assert_int_equal(decide(policy, 1002, R, "/var/log/x/yz.log").rule->line, 3);
	policy_free(policy);
}

/* What one caller's matches lie in, and how long its path is for the caller. */
static void test_directories_with_variables(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\n"
			  "allow read /a/user-%U/x/** /b/%U /c/%U*/x /d/%%/%u/[x]/y\n"
			  "allow read %h %h/.config/* /e%%/x\n"
			  "allow read /home/alice/.config/deep/**\n"
			  "allow tree %h/t%% /f%%\n"
			  "}\n");
	struct policy_identity alice = {.uid = 1002, .gid = 1002};
	static const struct {
		const char *path, *directory;
		size_t length;
	} wanted[] = {
		{"/a/user-1002/x/y", "/a/user-%U/x", sizeof("/a/user-1002/x") - 1},
		{"/b/1002", "/b", 2},
		{"/c/10021/x", "/c", 2},
		{"/d/%/alice/x/y", "/d/%%/%u", sizeof("/d/%/alice") - 1},
		{"/home/alice", "%h", sizeof("/home/alice") - 1},
		{"/home/alice/.config/x", "%h/.config", sizeof("/home/alice/.config") - 1},
		/* The deepest, whatever it is called. */
		{"/home/alice/.config/deep/x", "/home/alice/.config/deep",
			sizeof("/home/alice/.config/deep") - 1},
		{"/e%/x", "/e%", 3},
	};
	struct policy_caller *caller;
	struct policy_user_values user;
	size_t count, tree_count, users = 0;
	const struct policy_directory *list = policy_directories(policy, &count);
	const struct policy_tree *trees = policy_trees(policy, &tree_count);

	(void)state;
	assert_int_equal(policy_caller_new(policy, &alice, &caller), 0);
	assert_int_equal(policy_caller_uid(caller), 1002);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct policy_decision decision = decide(policy, 1002, R, wanted[i].path);
		assert_int_equal(decision.reason, POLICY_ALLOWED);
		assert_string_equal(list[decision.directory].path, wanted[i].directory);
		assert_int_equal(
			policy_directory_length(caller, decision.directory), wanted[i].length);
	}
	policy_caller_free(caller);
	assert_int_equal(tree_count, 2);
	assert_string_equal(trees[0].path, "%h/t%%");
	assert_true(trees[0].variables);
	assert_string_equal(trees[1].path, "/f%");
	assert_false(trees[1].variables);
	for (; policy_user_values(policy, users, &user); users++) {
		if (user.uid == 1002) {
			assert_string_equal(user.user, "alice");
			assert_string_equal(user.home, "/home/alice");
		} else if (user.uid == 1102) {
			/* What could be more than a name is no value. */
			assert_null(user.user);
			assert_null(user.home);
		}
	}
	assert_int_equal(users, 10);
	policy_free(policy);
}

static const char *directory_of(const struct policy *policy, uint32_t rights, const char *path)
{
	struct policy_decision decision = decide(policy, ME, rights, path);
	size_t count;

	assert_int_equal(decision.reason, POLICY_ALLOWED);
	return policy_directories(policy, &count)[decision.directory].path;
}

/* The directory is that of a rule which gives what was decided, however much deeper another lies. */
static void test_which_directory(void **state)
{
	struct policy *policy = load_text("subject s {\nuser 1002\n"
					  "allow read /a/** exec\n"
					  "allow read /a/b/c/*\n"
					  "allow write,create /w/**\n"
					  "allow read,list,watch,readlink /w/b/c/*\n"
					  "allow read /t/**\n"
					  "allow read /t/b/** type fifo\n"
					  "allow read /t/b/c/*\n"
					  "}\n");
	(void)state;
	assert_string_equal(directory_of(policy, R, "/a/b/c/x"), "/a");
	assert_string_equal(directory_of(policy, R, "/w/b/c/x"), "/w/b/c");
	assert_string_equal(directory_of(policy, W, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, R | W, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, W | POLICY_LIST, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, C | POLICY_WATCH, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, W | POLICY_READLINK, "/w/b/c/x"), "/w");
	assert_string_equal(directory_of(policy, R, "/t/b/c/x"), "/t/b");
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

/* Many subjects at one node, so that both ways through its entries are taken. */
static void test_many_subjects(void **state)
{
	size_t size = 1000 * 80;
	char *text = malloc(size), *at = text;
	struct policy *policy;
	gid_t all[300];
	struct policy_identity many = {.uid = 5, .gid = 5, .groups = all, .group_count = 300};

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		at += sprintf(at, "subject s%u {\ngroup %u\nallow read /a/x\n%s\n}\n", i, 10000 + i,
			i % 7 == 3 ? "deny write /a" : "allow write /a/*");
	policy = load_text(text);
	for (unsigned int i = 0; i < 1000; i++) {
		struct policy_decision decision = decide(policy, 10000 + i, R, "/a/x");
		char name[16];

		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(decision.reason, POLICY_ALLOWED);
		assert_string_equal(decision.rule->subject, name);
		assert_true(allowed(policy, 10000 + i, W, "/a/x") == (i % 7 != 3));
	}
	assert_false(allowed(policy, 9999, R, "/a/x"));
	for (unsigned int i = 0; i < 300; i++)
		all[i] = 10400 + i;
	assert_string_equal(decide_as(policy, &many, R, "/a/x").rule->subject, "s400");
	assert_string_equal(decide_as(policy, &many, W, "/a/x").rule->subject, "s402");
	policy_free(policy);
	free(text);
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

static int reset(void **state)
{
	(void)state;
	files_reset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_patterns, reset),
		cmocka_unit_test_setup(test_rights, reset),
		cmocka_unit_test_setup(test_callers, reset),
		cmocka_unit_test_setup(test_narrowing, reset),
		cmocka_unit_test_setup(test_denies_across_subjects, reset),
		cmocka_unit_test_setup(test_variables, reset),
		cmocka_unit_test_setup(test_modifiers, reset),
		cmocka_unit_test_setup(test_directories, reset),
		cmocka_unit_test_setup(test_directories_with_variables, reset),
		cmocka_unit_test_setup(test_which_directory, reset),
		cmocka_unit_test_setup(test_map, reset),
		cmocka_unit_test(test_path_check),
		cmocka_unit_test_setup(test_many_subjects, reset),
		cmocka_unit_test_setup(test_no_explosion, reset),
	};

	return cmocka_run_group_tests_name("policy-decide", tests, NULL, NULL);
}
