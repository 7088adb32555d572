/* SPDX-License-Identifier: MIT */
/* Units: what the text of /proc/PID/cgroup says, and what it must not be taken to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process.h"

#include <string.h>

static void test_units(void **state)
{
	char longest[300];
	static const struct {
		const char *text, *unit;
	} table[] = {
		{"", ""},
		{"0::/\n", ""},
		{"0::/system.slice/nginx.service\n", "nginx.service"},
		{"0::/system.slice/nginx.service", "nginx.service"},
		/* What is further in, the process may have made itself. */
		{"0::/system.slice/nginx.service/evil.service\n", "nginx.service"},
		{"0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n",
			"user@1.service"},
		{"0::/user.slice/user-1.slice/session-3.scope\n", "session-3.scope"},
		{"0::/system.slice/nginx.service.d/worker\n", ""},
		{"0::/system.slice/.service\n", ""},
		{"0::/../../x.service\n", "x.service"},
		/* The first version's hierarchy counts where the unified one is not used. */
		{"9:name=systemd:/system.slice/a.service\n0::/\n", "a.service"},
		{"9:name=systemd:/system.slice/a.service\n0::/b.service\n", "b.service"},
		{"12:pids:/x.service\n3:cpu,cpuacct:/y.service\n", ""},
		/* A name that looks like another line's beginning. */
		{"4:memory:/0::/x.service\n0::/\n", ""},
		{"4:memory:/a:name=systemd:/x.service\n0::/\n", ""},
		{"10::/x.service\n", ""},
	};
	char unit[PROCESS_UNIT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		process_find_unit(table[i].text, unit);
		assert_string_equal(unit, table[i].unit);
	}
	/* A name that no unit can have is none, and harms nothing. */
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "0::/", 4);
	strcpy(longest + sizeof(longest) - 9, ".service");
	process_find_unit(longest, unit);
	assert_string_equal(unit, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_units)};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
