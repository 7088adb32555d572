/* SPDX-License-Identifier: MIT */
/* policy-language.c: addresses, trees, moves, limits, expects, and what the broker is told of them. */
#include "policy-support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum policy_reason ask(
	const struct policy *policy, uid_t uid, uint32_t right, const char *target)
{
	struct policy_identity identity = {.uid = uid, .gid = uid};
	struct policy_decision decision;

	assert_int_equal(policy_ask(policy, &identity, right, target, &decision), 0);
	return decision.reason;
}

static const struct {
	const char *rules, *targets;
} addresses[] = {
	{"allow connect unix:/run/x",
		"+unix:/run/x -unix:/run/x/y -unix-dgram:/run/x -unix:@/run/x"},
	{"allow connect unix:@x", "+unix:@x -unix:/x -unix:@xy"},
	{"allow connect unix:@a/b", "+unix:@a/b -unix:@a"},
	{"allow connect unix:/run/%U/x", "+unix:/run/1002/x -unix:/run/1003/x"},
	{"allow connect unix:@x-%u", "+unix:@x-alice -unix:@x-bob"},
	{"allow connect unix:%h/x", "+unix:/home/alice/x -unix:/home/bob/x"},
	{"allow connect unix-dgram:/x any-peer", "+unix-dgram:/x -unix:/x"},
	{"allow connect unix:/run/{a,b}\ndeny connect unix:/run/a", "+unix:/run/b -unix:/run/a"},
	{"allow connect unix:/run/a/b\ndeny connect unix:/run/*", "-unix:/run/a/b"},
	{"allow connect unix:@ab\ndeny connect unix:@a*", "-unix:@ab"},
	/* A deny of a path is none of a socket, unless it is of everything. */
	{"allow connect unix:/run/a\ndeny read /run", "+unix:/run/a"},
	{"allow connect unix:/run/a\ndeny all unix:/run", "-unix:/run/a"},
	{"allow connect tcp:1.2.3.4:80 any-peer",
		"+tcp:1.2.3.4:80 -tcp:1.2.3.4:81 -udp:1.2.3.4:80 -tcp:1.2.3.5:80 "
		"+tcp:[::ffff:1.2.3.4]:80 -tcp:[::1]:80"},
	{"allow connect tcp:10.0.0.0/9:* any-peer", "+tcp:10.127.0.1:1 -tcp:10.128.0.1:1"},
	{"allow connect tcp:0.0.0.0/0:* any-peer", "+tcp:255.1.1.1:1 -tcp:[::1]:1"},
	{"allow connect tcp:*:8000-8099 any-peer",
		"+tcp:1.1.1.1:8000 +tcp:[2001:db8::1]:8099 -tcp:1.1.1.1:8100"},
	{"allow connect udp:[2001:db8::/33]:53 any-peer",
		"+udp:[2001:db8:7fff::]:53 -udp:[2001:db8:8000::]:53"},
	{"allow connect tcp:*:* any-peer\ndeny connect tcp:127.0.0.0/8:*",
		"+tcp:8.8.8.8:1 -tcp:127.1.1.1:1 -tcp:[::ffff:127.0.0.1]:1"},
	{"allow connect tcp:*:* any-peer\ndeny connect tcp:[::ffff:127.0.0.0/104]:*",
		"+tcp:8.8.8.8:1 -tcp:127.1.1.1:1"},
	/* Linux connects the unspecified address to loopback. */
	{"allow connect tcp:*:* udp:*:* any-peer\ndeny connect tcp:127.0.0.0/8:80",
		"-tcp:0.0.0.0:80 -tcp:[::ffff:0.0.0.0]:80 -tcp:[::ffff:127.0.0.1]:80 "
		"+tcp:0.0.0.0:81 +tcp:[::]:80 +udp:0.0.0.0:80 +tcp:0.0.0.1:80"},
	{"allow connect tcp:*:* any-peer\ndeny connect tcp:[::1]:*",
		"-tcp:[::]:80 -tcp:[::1]:1 +tcp:0.0.0.0:80 +tcp:[::2]:80"},
	{"allow connect tcp:*:* any-peer\ndeny connect tcp:0.0.0.0:80",
		"-tcp:0.0.0.0:80 -tcp:127.0.0.1:80 +tcp:127.0.0.2:80"},
	{"allow connect tcp:*:* any-peer\ndeny connect tcp:0.0.0.0/8:80", "-tcp:0.0.0.0:80"},
	{"allow connect tcp:127.0.0.1:80 any-peer", "+tcp:0.0.0.0:80 -tcp:0.0.0.0:81 -tcp:[::]:80"},
	{"allow connect tcp:0.0.0.0:80 any-peer", "+tcp:0.0.0.0:80 +tcp:127.0.0.1:80"},
	{"allow connect tcp:0.0.0.0/8:80 any-peer", "-tcp:0.0.0.0:80"},
	/* A deny of everything there is denies the socket, too. */
	{"allow connect unix:/run/a/b unix:/run/c unix:/x\ndeny all /run/a /run/?",
		"-unix:/run/a/b -unix:/run/c +unix:/x"},
	{"allow connect unix:/home/alice/b unix:%h/c\ndeny all %h/b",
		"-unix:/home/alice/b +unix:/home/alice/c"},
	{"allow connect unix-dgram:/run/a any-peer\ndeny all /run", "-unix-dgram:/run/a"},
	{"allow connect unix:@run\ndeny all /run /**", "+unix:@run"},
	{"allow connect tcp:10.0.0.{1,2}:80 any-peer", "+tcp:10.0.0.2:80 -tcp:10.0.0.3:80"},
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		char text[512], *targets = strdup(addresses[i].targets), *save;
		struct policy *policy;

		files_reset();
		snprintf(text, sizeof(text), "subject s {\nuser 1002\n%s\n}\n", addresses[i].rules);
		policy = load_text(text);
		for (char *target = strtok_r(targets, " ", &save); target;
			target = strtok_r(NULL, " ", &save)) {
			bool allows =
				ask(policy, 1002, POLICY_CONNECT, target + 1) == POLICY_ALLOWED;

			if (allows != (*target == '+'))
				fail_msg("%s: %s", addresses[i].rules, target);
			assert_int_equal(
				ask(policy, 1002, POLICY_BIND, target + 1) == POLICY_ALLOWED, 0);
			assert_int_equal(
				ask(policy, 7, POLICY_CONNECT, target + 1), POLICY_NO_SUBJECT);
		}
		free(targets);
		policy_free(policy);
	}
}

static void test_binding(void **state)
{
	static const struct {
		const char *rule, *targets;
	} rows[] = {
		{"tcp:10.0.0.1:80", "-tcp:10.0.0.1:80 -tcp:0.0.0.0:80 -tcp:[::]:80 -tcp:10.0.0.1:0 "
				    "-tcp:0.0.0.0:0 +tcp:10.0.0.2:80 +tcp:10.0.0.2:0 "
				    "+tcp:0.0.0.0:81 +udp:0.0.0.0:80 +tcp:[::1]:80"},
		{"tcp:[2001:db8::1]:80",
			"-tcp:[::]:80 -tcp:[::]:0 +tcp:0.0.0.0:80 +tcp:[::ffff:0.0.0.0]:80"},
		{"tcp:*:80", "-tcp:10.0.0.2:0 -tcp:1.1.1.1:80 +tcp:1.1.1.1:81"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256], *targets = strdup(rows[i].targets), *save;
		struct policy *policy;

		files_reset();
		snprintf(text, sizeof(text),
			"subject s {\nuser *\nallow bind tcp:*:* udp:*:* any-peer\n"
			"deny bind %s\n}\n",
			rows[i].rule);
		policy = load_text(text);
		for (char *target = strtok_r(targets, " ", &save); target;
			target = strtok_r(NULL, " ", &save))
			if ((ask(policy, 5, POLICY_BIND, target + 1) == POLICY_ALLOWED) !=
				(*target == '+'))
				fail_msg("%s: %s", rows[i].rule, target);
		free(targets);
		policy_free(policy);
	}
	/* An allow must name what it gives. */
	files_reset();
	{
		struct policy *policy =
			load_text("subject s {\nuser *\nallow bind tcp:10.0.0.1:80 any-peer\n}\n");

		assert_int_equal(ask(policy, 5, POLICY_BIND, "tcp:10.0.0.1:80"), POLICY_ALLOWED);
		assert_int_equal(ask(policy, 5, POLICY_BIND, "tcp:0.0.0.0:80"), POLICY_NO_RULE);
		assert_int_equal(ask(policy, 5, POLICY_BIND, "tcp:10.0.0.1:0"), POLICY_NO_RULE);
		policy_free(policy);
	}
}

static void test_no_addresses(void **state)
{
	static const char *const texts[] = {"", "unix:", "unix:@", "unix:x", "unix:/x/",
		"tcp:", "tcp:1.2.3.4", "tcp:1.2.3:1", "tcp:1.2.3.4:*", "tcp:*:1", "tcp:1.0.0.0/8:1",
		"tcp:1.2.3.4:1-2", "tcp:[::1:1", "tcp:::1:1", "tcp:1.2.3.4:65536", "tcp:x:1",
		"sctp:1.2.3.4:1", "tcp:[fe80::1%]:1", "tcp:[fe80::1%0]:1", "tcp:[fe80::1%lo]:1",
		"tcp:[fe80::1%4294967296]:1", "tcp:1.2.3.4%1:1", "tcp:[::ffff:1.2.3.4%1]:1",
		"tcp:[::1]:%1"};
	struct policy_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
			policy_address_parse(texts[i], strlen(texts[i]), &address), -EINVAL);
}

/* Names of files may be longer than a socket address; abstract ones are one. */
static void test_scopes_and_lengths(void **state)
{
	struct policy_address address;
	char text[300];

	(void)state;
	assert_int_equal(policy_address_parse("tcp:[fe80::1%17]:80", 19, &address), 0);
	assert_int_equal(address.scope, 17);
	assert_int_equal(address.port, 80);
	assert_true(address.ip6);
	assert_int_equal(address.ip[0], 0xfe);
	assert_int_equal(address.ip[15], 1);
	assert_int_equal(policy_address_parse("tcp:[::1]:80", 12, &address), 0);
	assert_int_equal(address.scope, 0);
	memset(text, 'n', sizeof(text));
	memcpy(text, "unix:/", 6);
	assert_int_equal(policy_address_parse(text, 256, &address), 0);
	memcpy(text, "unix:@", 6);
	assert_int_equal(policy_address_parse(text, 6 + 107, &address), 0);
	assert_int_equal(policy_address_parse(text, 6 + 108, &address), -EINVAL);
}

static void test_sockets(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\n"
			  "allow bind unix:/run/%U/x mode 0660 owner caller:adm any-peer\n"
			  "allow connect unix:@name tcp:1.2.3.4:80 any-peer\n"
			  "allow bind unix:/run/100%%/x any-peer\n"
			  "}\n");
	struct policy_identity identity = {.uid = 1002, .gid = 1002};
	struct policy_decision decision;
	struct policy_caller *caller;
	char path[POLICY_PATH_BUFFER];
	size_t count;
	const struct policy_socket *sockets = policy_sockets(policy, &count);

	(void)state;
	assert_int_equal(count, 4);
	assert_int_equal(
		policy_ask(policy, &identity, POLICY_BIND, "unix:/run/1002/x", &decision), 0);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_int_equal(decision.mode, 0660);
	assert_int_equal(decision.group, 4);
	assert_string_equal(sockets[decision.directory].name, "/run/%U/x");
	assert_true(sockets[decision.directory].variables);
	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	assert_int_equal(policy_caller_expand(caller, sockets[decision.directory].name, path), 11);
	assert_string_equal(path, "/run/1002/x");
	assert_int_equal(
		policy_ask(policy, &identity, POLICY_BIND, "unix:/run/100%/x", &decision), 0);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	policy_caller_expand(caller, sockets[decision.directory].name, path);
	assert_string_equal(path, "/run/100%/x");
	assert_int_equal(policy_ask(policy, &identity, POLICY_CONNECT, "unix:@name", &decision), 0);
	assert_true(sockets[decision.directory].abstract);
	assert_string_equal(sockets[decision.directory].name, "name");
	assert_int_equal(
		policy_ask(policy, &identity, POLICY_CONNECT, "tcp:1.2.3.4:80", &decision), 0);
	assert_int_equal(sockets[decision.directory].family, 4);
	assert_int_equal(sockets[decision.directory].prefix, 32);
	assert_memory_equal(sockets[decision.directory].ip, "\1\2\3\4", 4);
	assert_int_equal(sockets[decision.directory].port_low, 80);
	assert_int_equal(sockets[decision.directory].port_high, 80);
	policy_caller_free(caller);
	policy_free(policy);
}

static void test_trees(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow tree /srv/a idmap 0 caller\n"
					  "allow tree /srv/b idmap 5 100 7 exec\n"
					  "allow write-tree /srv/w/%U %h/t\n"
					  "allow tree /srv/c /srv/d /srv/e /srv/up/x\n"
					  "}\n"
					  "subject t {\nuser bob\n"
					  "deny read /srv/c/x /srv/**/secret\n"
					  "deny write /srv/up\n"
					  "deny list %h/t/z\n"
					  "}\n");
	struct policy_identity alice = {.uid = 1002, .gid = 1002};
	struct policy_decision decision;
	size_t count;
	const struct policy_tree *trees = policy_trees(policy, &count);

	(void)state;
	assert_int_equal(count, 8);
	assert_int_equal(policy_ask(policy, &alice, POLICY_TREE, "/srv/a", &decision), 0);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_string_equal(trees[decision.directory].path, "/srv/a");
	assert_true(trees[decision.directory].idmap);
	assert_int_equal(trees[decision.directory].idmap_to, POLICY_OWNER_CALLER);
	policy_ask(policy, &alice, POLICY_TREE, "/srv/b", &decision);
	assert_int_equal(trees[decision.directory].idmap_from, 5);
	assert_int_equal(trees[decision.directory].idmap_to, 100);
	assert_int_equal(trees[decision.directory].idmap_count, 7);
	assert_true(trees[decision.directory].exec);
	policy_ask(policy, &alice, POLICY_WRITE_TREE, "/srv/w/1002", &decision);
	assert_string_equal(trees[decision.directory].path, "/srv/w/%U");
	assert_int_equal(ask(policy, 1002, POLICY_WRITE_TREE, "/srv/a"), POLICY_NO_RULE);
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/srv/a/x"), POLICY_NO_RULE);
	assert_int_equal(ask(policy, 1002, POLICY_WRITE_TREE, "/srv/w/1003"), POLICY_NO_RULE);
	/* A deny of another subject, of any right, beneath or above. */
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/srv/c"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/srv/c"), POLICY_DENY_RULE);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/srv/d"), POLICY_DENY_RULE);
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/srv/up/x"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/srv/up/x"), POLICY_DENY_RULE);
	assert_int_equal(ask(policy, 1002, POLICY_WRITE_TREE, "/home/alice/t"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1003, POLICY_WRITE_TREE, "/home/bob/t"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* Two rules that disagree about ids; and a deny of a home beneath a tree. */
static void test_tree_conflicts(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser *\nallow tree /srv/e /home\n}\n"
			  "subject t {\nuser bob\nallow tree /srv/e idmap 0 caller\n}\n"
			  "subject u {\nuser alice\ndeny read %h/x\n}\n");
	(void)state;
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/srv/e"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/srv/e"), POLICY_OWNERS_DIFFER);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/home"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/home"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* Who lacks a value is denied by what uses it, everywhere; but a deny of addresses is none of files. */
static void test_lacking_value(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\nallow tree /t\nallow rename /r/**\n"
					  "allow connect unix:/x\ndeny connect unix:/run/%u\n}\n");
	struct policy_identity identity = {.uid = 4242, .gid = 4242};
	struct policy_decision decision;
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	uint32_t from;

	(void)state;
	assert_int_equal(ask(policy, 4242, POLICY_TREE, "/t"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 4242, POLICY_CONNECT, "unix:/x"), POLICY_DENY_RULE);
	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	assert_int_equal(policy_scratch_new(policy, &scratch), 0);
	policy_decide_move(policy, caller, scratch, POLICY_RENAME, true, "/r/a", 4, "/r/b", 4,
		&decision, &from);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	policy_free(policy);
	files_reset();
	policy = load_text("subject s {\nuser *\nallow tree /t\ndeny read /run/%u\n}\n");
	assert_int_equal(ask(policy, 4242, POLICY_TREE, "/t"), POLICY_DENY_RULE);
	policy_free(policy);
}

/* A deny above a tree, of the tree's own subject, whose path is known only with its variable. */
static void test_tree_beneath_deny(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\nallow tree /srv/%U\n}\n"
					  "subject t {\nuser alice\ndeny watch /srv\n}\n"
					  "subject u {\nuser *\nallow tree /i idmap 0 5 1\n}\n"
					  "subject v {\nuser bob\nallow tree /i idmap 0 6 1\n}\n");

	(void)state;
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/srv/1003"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/srv/1002"), POLICY_DENY_RULE);
	/* Ids that differ in where they go alone. */
	assert_int_equal(ask(policy, 1002, POLICY_TREE, "/i"), POLICY_ALLOWED);
	assert_int_equal(ask(policy, 1003, POLICY_TREE, "/i"), POLICY_OWNERS_DIFFER);
	policy_free(policy);
}

static enum policy_reason move_by(const struct policy *policy, uint32_t right, bool is_directory,
	const char *from, const char *to, uint32_t *missing)
{
	struct policy_identity identity = {.uid = 1002, .gid = 1002};
	struct policy_decision decision;
	struct policy_caller *caller;
	struct policy_scratch *scratch;
	uint32_t from_directory;

	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	assert_int_equal(policy_scratch_new(policy, &scratch), 0);
	policy_decide_move(policy, caller, scratch, right, is_directory, from, strlen(from), to,
		strlen(to), &decision, &from_directory);
	*missing = decision.missing;
	policy_scratch_free(scratch);
	policy_caller_free(caller);
	return decision.reason;
}

static enum policy_reason move(const struct policy *policy, bool is_directory, const char *from,
	const char *to, uint32_t *missing)
{
	return move_by(policy, POLICY_RENAME, is_directory, from, to, missing);
}

/* What only exec or a type gives is a right like any other; and a link is a way to read. */
static void test_moves_gain_nothing(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow rename /plain/** /exec/** /fifo/**\n"
					  "allow read /plain/** /exec/** /fifo/**\n"
					  "allow read /exec/** exec\n"
					  "allow read /fifo/** type fifo\n"
					  "allow create /l/* /m/*\n"
					  "allow read /l/*\n"
					  "}\n");
	uint32_t missing;

	(void)state;
	for (unsigned int directory = 0; directory < 2; directory++) {
		assert_int_equal(
			move(policy, directory, "/plain/x", "/exec/x", &missing), POLICY_NO_RULE);
		assert_int_equal(
			move(policy, directory, "/plain/x", "/fifo/x", &missing), POLICY_NO_RULE);
		assert_int_equal(
			move(policy, directory, "/fifo/x", "/exec/x", &missing), POLICY_NO_RULE);
	}
	assert_int_equal(move(policy, false, "/plain/x", "/exec/x", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ | POLICY_STAT);
	assert_int_equal(move(policy, false, "/exec/x", "/plain/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/fifo/x", "/plain/x", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/l/a", "/l/b", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/l/a", "/m/b", &missing), POLICY_ALLOWED);
	assert_int_equal(
		move_by(policy, POLICY_CREATE, false, "/m/a", "/m/b", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ);
	policy_free(policy);
}

static void test_moves(void **state)
{
	struct policy *policy = load_text("subject s {\nuser *\n"
					  "allow rename /a/** /b/** /c/* /e/*\n"
					  "allow read /b/** /c/** /a/r/**\n"
					  "allow read /d/**\n"
					  "deny write /a/secret/x\n"
					  "deny write /b/w*\n"
					  "}\n");
	uint32_t missing;

	(void)state;
	assert_int_equal(move(policy, false, "/a/x", "/a/y", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/b/x", "/b/y", &missing), POLICY_ALLOWED);
	/* Reading where it is moved to, but not where it was: no way to read it so. */
	assert_int_equal(move(policy, false, "/a/x", "/b/x", &missing), POLICY_NO_RULE);
	assert_int_equal(missing, POLICY_READ | POLICY_STAT);
	/* Losing a right is fine. */
	assert_int_equal(move(policy, false, "/b/x", "/a/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, false, "/d/x", "/b/x", &missing), POLICY_NO_RULE);
	assert_int_equal(move(policy, false, "/a/x", "/z/x", &missing), POLICY_NO_RULE);
	/* A deny of any right at either end. */
	assert_int_equal(move(policy, false, "/b/wx", "/b/y", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, false, "/b/y", "/b/wx", &missing), POLICY_DENY_RULE);
	/* Of a directory, beneath it too; of a file that is not possible. */
	assert_int_equal(move(policy, false, "/a/secret", "/a/y", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, true, "/a/secret", "/a/y", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, true, "/a/y", "/a/secret", &missing), POLICY_DENY_RULE);
	assert_int_equal(move(policy, true, "/a/x", "/a/y", &missing), POLICY_ALLOWED);
	/* The rights of the name are equal, but not those beneath it. */
	assert_int_equal(move(policy, true, "/a/x", "/a/r", &missing), POLICY_NO_RULE);
	assert_int_equal(move(policy, true, "/a/r", "/a/x", &missing), POLICY_ALLOWED);
	assert_int_equal(move(policy, true, "/e/x", "/c/x", &missing), POLICY_NO_RULE);
	policy_free(policy);
}

static void test_limits(void **state)
{
	struct policy *policy =
		load_text("subject a {\nuser *\n"
			  "limit connections 8\nlimit rate 1000/s burst 200\n"
			  "limit connections 64 total\n}\n"
			  "subject b {\nuser alice\n"
			  "limit connections 4\nlimit rate none\nlimit opens none\n}\n");
	struct policy_identity identity = {.uid = 1002, .gid = 1002};
	struct policy_caller *caller;
	struct policy_limits limits;
	uint32_t subject;

	(void)state;
	assert_int_equal(policy_caller_new(policy, &identity, &caller), 0);
	policy_caller_limits(caller, &limits);
	assert_int_equal(limits.connections, 4);
	assert_int_equal(limits.rate, 1000);
	assert_int_equal(limits.burst, 200);
	assert_int_equal(limits.opens, POLICY_LIMIT_NONE);
	assert_int_equal(limits.descriptors, POLICY_LIMIT_UNSAID);
	assert_int_equal(policy_caller_totals(caller, 0, &subject)->connections, 64);
	assert_int_equal(subject, 0);
	assert_int_equal(
		policy_caller_totals(caller, 1, &subject)->connections, POLICY_LIMIT_UNSAID);
	assert_int_equal(subject, 1);
	policy_caller_free(caller);
	policy_free(policy);
}

static void test_expects(void **state)
{
	struct policy *policy =
		load_text("subject s {\nuser alice\ngroup adm\nallow read /x/*\n}\n"
			  "expect allow user alice group logs group adm read /x/a /x/b\n"
			  "expect deny user 77 connect tcp:[::1]:80\n");
	struct policy_decision decision;
	size_t count;
	const struct policy_expectation *list = policy_expectations(policy, &count);

	(void)state;
	assert_int_equal(count, 3);
	assert_string_equal(list[1].target, "/x/b");
	assert_int_equal(list[1].line, 6);
	assert_int_equal(list[1].column, 56);
	assert_int_equal(list[0].identity.uid, 1002);
	assert_int_equal(list[0].identity.gid, 1002);
	assert_int_equal(list[0].identity.group_count, 2);
	policy_ask(policy, &list[0].identity, list[0].rights, list[0].target, &decision);
	assert_int_equal(decision.reason, POLICY_ALLOWED);
	assert_int_equal(list[2].identity.gid, (gid_t)-1);
	policy_free(policy);
	/* A number is the user whose it is, as `fdbroker explain` has it. */
	files_reset();
	policy = load_text("expect deny user 1002 read /x\n");
	assert_int_equal(policy_expectations(policy, &count)->identity.gid, 1002);
	policy_free(policy);
	files_reset();
	assert_string_equal(load_wrong("expect deny user 4444 read /x\n", 0),
		"1:18: error: cannot look up the uid 4444: Input/output error");
}

/* What is explained is what is decided, whatever is asked. */
static void test_explain_agrees(void **state)
{
	struct policy *policy = load_text("map /m /x\nsubject s {\nuser alice\n"
					  "allow read /x/* /x/y/**\ndeny read /x/*.key\n}\n"
					  "subject t {\ngroup adm\nallow write /x/*\n}\n");
	static const char *const paths[] = {
		"/x/a", "/m/a", "/x/a.key", "/m/y/a.key", "/m/a/b", "/q", "/x", "/m"};
	static const uint32_t rights[] = {POLICY_READ, POLICY_WRITE, POLICY_READ | POLICY_WRITE};
	struct policy_explanation *explanation = malloc(sizeof(*explanation));

	(void)state;
	for (unsigned int i = 0; i < 8 * 3 * 3; i++) {
		struct policy_identity identity = {
			.uid = i % 3 ? 1002 : 1003, .gid = i % 3 == 1 ? 4 : 9};
		uint32_t right = rights[i / 3 % 3];
		char mapped[POLICY_PATH_BUFFER];
		struct policy_decision decision;

		policy_map(policy, paths[i / 9], strlen(paths[i / 9]), mapped);
		decision = decide_as(policy, &identity, right, mapped);
		assert_int_equal(
			policy_explain(policy, &identity, right, paths[i / 9], explanation), 0);
		assert_int_equal(explanation->decision.reason, decision.reason);
		assert_int_equal(explanation->decision.missing, decision.missing);
		assert_ptr_equal(explanation->decision.rule, decision.rule);
		assert_string_equal(explanation->target, mapped);
	}
	free(explanation);
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
		cmocka_unit_test_setup(test_addresses, reset),
		cmocka_unit_test_setup(test_binding, reset),
		cmocka_unit_test_setup(test_no_addresses, reset),
		cmocka_unit_test(test_scopes_and_lengths),
		cmocka_unit_test_setup(test_sockets, reset),
		cmocka_unit_test_setup(test_trees, reset),
		cmocka_unit_test_setup(test_tree_conflicts, reset),
		cmocka_unit_test_setup(test_lacking_value, reset),
		cmocka_unit_test_setup(test_tree_beneath_deny, reset),
		cmocka_unit_test_setup(test_moves, reset),
		cmocka_unit_test_setup(test_moves_gain_nothing, reset),
		cmocka_unit_test_setup(test_limits, reset),
		cmocka_unit_test_setup(test_expects, reset),
		cmocka_unit_test_setup(test_explain_agrees, reset),
	};

	return cmocka_run_group_tests_name("policy-language", tests, NULL, NULL);
}
