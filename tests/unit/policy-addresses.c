/* SPDX-License-Identifier: MIT */
/* policy-addresses.c: connect and bind: which addresses a rule means, and what the broker is told of them. */
#include "policy-support.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct verdicts addresses[] = {
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

static bool connects(const struct policy *policy, const char *target)
{
	assert_int_equal(reason_of(policy, 1002, POLICY_BIND, target) == POLICY_ALLOWED, 0);
	assert_int_equal(reason_of(policy, 7, POLICY_CONNECT, target), POLICY_NO_SUBJECT);
	return reason_of(policy, 1002, POLICY_CONNECT, target) == POLICY_ALLOWED;
}

static void test_addresses(void **state)
{
	(void)state;
	check_verdicts("user 1002", addresses, sizeof(addresses) / sizeof(addresses[0]), connects);
}

static bool binds(const struct policy *policy, const char *target)
{
	return reason_of(policy, 5, POLICY_BIND, target) == POLICY_ALLOWED;
}

static void test_binding(void **state)
{
	static const struct verdicts rows[] = {
		{"deny bind tcp:10.0.0.1:80",
			"-tcp:10.0.0.1:80 -tcp:0.0.0.0:80 -tcp:[::]:80 -tcp:10.0.0.1:0 "
			"-tcp:0.0.0.0:0 +tcp:10.0.0.2:80 +tcp:10.0.0.2:0 "
			"+tcp:0.0.0.0:81 +udp:0.0.0.0:80 +tcp:[::1]:80"},
		{"deny bind tcp:[2001:db8::1]:80",
			"-tcp:[::]:80 -tcp:[::]:0 +tcp:0.0.0.0:80 +tcp:[::ffff:0.0.0.0]:80"},
		{"deny bind tcp:*:80", "-tcp:10.0.0.2:0 -tcp:1.1.1.1:80 +tcp:1.1.1.1:81"},
	};

	(void)state;
	check_verdicts("user *\nallow bind tcp:*:* udp:*:* any-peer", rows,
		sizeof(rows) / sizeof(rows[0]), binds);
	/* An allow must name what it gives. */
	files_reset();
	struct policy *policy =
		load_text("subject s {\nuser *\nallow bind tcp:10.0.0.1:80 any-peer\n}\n");
	assert_int_equal(reason_of(policy, 5, POLICY_BIND, "tcp:10.0.0.1:80"), POLICY_ALLOWED);
	assert_int_equal(reason_of(policy, 5, POLICY_BIND, "tcp:0.0.0.0:80"), POLICY_NO_RULE);
	assert_int_equal(reason_of(policy, 5, POLICY_BIND, "tcp:10.0.0.1:0"), POLICY_NO_RULE);
	policy_free(policy);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_addresses, files_setup),
		cmocka_unit_test_setup(test_binding, files_setup),
		cmocka_unit_test_setup(test_no_addresses, files_setup),
		cmocka_unit_test(test_scopes_and_lengths),
		cmocka_unit_test_setup(test_sockets, files_setup),
	};

	return cmocka_run_group_tests_name("policy-addresses", tests, NULL, NULL);
}
