/* SPDX-License-Identifier: MIT */
/* Directories whose names fold because they are marked so, on kernels that cannot make any: the mark is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/fs.h>

/* What FS_IOC_GETFLAGS says, or a negative errno. */
static int marks;

static int get_marks(int directory, unsigned long request, int *flags)
{
	(void)directory;
	assert_int_equal(request, FS_IOC_GETFLAGS);
	if (marks < 0) {
		errno = -marks;
		return -1;
	}
	*flags = marks;
	return 0;
}

#include <sys/ioctl.h>
#define ioctl(directory, request, flags) get_marks(directory, request, flags)
#include "../../broker/names.c"
#undef ioctl

static int directory_of(const char *path)
{
	int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(directory >= 0);
	return directory;
}

static void test_marked(void **state)
{
	struct statfs system;
	int directory = directory_of("/dev/shm");

	(void)state;
	if (fstatfs(directory, &system) < 0 || system.f_type != TMPFS_MAGIC) {
		print_message("# /dev/shm is no tmpfs\n");
		skip();
	}
	marks = FS_CASEFOLD_FL | FS_NODUMP_FL;
	assert_true(names_fold(directory));
	marks = FS_NODUMP_FL;
	assert_false(names_fold(directory));
	/* Without flags there is no mark. */
	marks = -ENOTTY;
	assert_false(names_fold(directory));
	close(directory);
}

static void test_others_are_not_asked(void **state)
{
	int directory = directory_of("/proc");

	(void)state;
	marks = FS_CASEFOLD_FL;
	assert_false(names_fold(directory));
	close(directory);
	/* What cannot be looked at may be anything. */
	assert_true(names_fold(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marked),
		cmocka_unit_test(test_others_are_not_asked),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
