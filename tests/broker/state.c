/* SPDX-License-Identifier: MIT */
/* What goes through a piece of memory that is sealed, and what is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sealed.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int some(void)
{
	int file = sealed_new("test");

	assert_true(file >= 0);
	assert_int_equal(sealed_write(file, "12345", 5), 0);
	return file;
}

static void test_what_is_sealed_changes_no_more(void **state)
{
	int file = some();

	(void)state;
	assert_int_equal(sealed_close(file), 0);
	assert_int_equal(sealed_length(file, 5), 5);
	assert_int_equal(sealed_length(file, 4), -EFBIG);
	assert_int_equal(pwrite(file, "x", 1, 0), -1);
	assert_int_equal(ftruncate(file, 0), -1);
	assert_int_equal(ftruncate(file, 10), -1);
	assert_ptr_equal(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
	close(file);
}

static void test_what_can_change_is_not_taken(void **state)
{
	int file = some(), ends[2];

	(void)state;
	assert_int_equal(sealed_length(file, 5), -EINVAL);
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL), 0);
	/* It could still become shorter, under whoever has mapped it. */
	assert_int_equal(sealed_length(file, 5), -EINVAL);
	close(file);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sealed_length(ends[0], 5), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(sealed_length(-1, 5), -EINVAL);
	file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sealed_length(file, 1 << 20), -EINVAL);
	close(file);
}

struct values {
	int64_t number;
	uint32_t small;
	bool flag;
	int descriptor;
	char text[8];
};

static void transfer(struct state *state, struct values *values)
{
	state_number(state, &values->number);
	state_integer(state, values->small);
	state_integer(state, values->flag);
	state_descriptor(state, &values->descriptor);
	state_text(state, values->text, sizeof(values->text));
}

static int save(struct values *values, bool inherit)
{
	struct state state;

	state_begin(&state, inherit);
	transfer(&state, values);
	return state_finish(&state);
}

static void test_what_is_written_is_read(void **unused)
{
	struct values values = {INT64_MIN, UINT32_MAX, true, -1, "seven.."}, read = {0};
	struct state state;
	int file = save(&values, false);

	(void)unused;
	assert_true(file >= 0);
	state_open(&state, file);
	transfer(&state, &read);
	assert_int_equal(state_done(&state), 0);
	assert_true(read.number == INT64_MIN && read.small == UINT32_MAX && read.flag);
	assert_int_equal(read.descriptor, -1);
	assert_string_equal(read.text, "seven..");
	close(file);
}

static void test_descriptors_survive_where_that_is_wanted(void **unused)
{
	struct values values = {.descriptor = dup(STDERR_FILENO)};

	(void)unused;
	assert_int_equal(fcntl(values.descriptor, F_SETFD, FD_CLOEXEC), 0);
	close(save(&values, false));
	assert_int_equal(fcntl(values.descriptor, F_GETFD), FD_CLOEXEC);
	close(save(&values, true));
	assert_int_equal(fcntl(values.descriptor, F_GETFD), 0);
	close(values.descriptor);
	assert_int_equal(save(&values, true), -EBADF);
}

/* Cut short anywhere, or with more behind it. */
static void test_what_is_something_else_is_refused(void **unused)
{
	struct values values = {.text = "abc", .descriptor = 2}, read;
	char bytes[256];
	struct state state;
	int file = save(&values, false);
	ssize_t length = pread(file, bytes, sizeof(bytes), 0);

	(void)unused;
	close(file);
	assert_true(length > 20 && length < (ssize_t)sizeof(bytes));
	for (ssize_t i = 0; i <= length + 1; i++) {
		file = sealed_new("test");
		bytes[length] = 0;
		assert_int_equal(sealed_write(file, bytes, (size_t)i), 0);
		assert_int_equal(sealed_close(file), 0);
		memset(&read, 0xff, sizeof(read));
		state_open(&state, file);
		transfer(&state, &read);
		if (i < length)
			assert_string_equal(read.text, "");
		assert_int_equal(state_done(&state), i == length ? 0 : -EPROTO);
		close(file);
	}
	/* A text that is longer than there is room for. */
	file = sealed_new("test");
	for (int64_t number = 100, i = 0; i < 5; i++)
		assert_int_equal(sealed_write(file, &number, sizeof(number)), 0);
	memset(bytes, 'x', 100);
	assert_int_equal(sealed_write(file, bytes, 100), 0);
	assert_int_equal(sealed_close(file), 0);
	state_open(&state, file);
	transfer(&state, &read);
	assert_string_equal(read.text, "");
	assert_int_equal(state_done(&state), -EPROTO);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sealed_changes_no_more),
		cmocka_unit_test(test_what_can_change_is_not_taken),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_descriptors_survive_where_that_is_wanted),
		cmocka_unit_test(test_what_is_something_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
