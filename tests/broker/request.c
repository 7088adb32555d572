/* SPDX-License-Identifier: MIT */
/* Decoding: every length, and what is said of each. Run it under the address sanitizer too. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Decodes a copy that ends where the message ends, so that reading on is noticed. */
static int decode(const void *bytes, size_t length, struct request *request)
{
	char *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	int error = request_decode(copy, length, request);
	if (!error && request->path_length)
		assert_memory_equal(request->path,
			(const char *)bytes + sizeof(struct fdbroker_request),
			request->path_length);
	if (!error && request->extra_length)
		assert_memory_equal(request->extra,
			(const char *)bytes + sizeof(struct fdbroker_request) +
				request->path_length,
			request->extra_length);
	free(copy);
	return error;
}

static size_t make(char *bytes, const struct fdbroker_request *header, const char *rest)
{
	memcpy(bytes, header, sizeof(*header));
	memcpy(bytes + sizeof(*header), rest, strlen(rest));
	return sizeof(*header) + strlen(rest);
}

static void test_whole(void **state)
{
	struct fdbroker_request header = {
		.version = 1,
		.operation = FDBROKER_OPEN,
		.id = 0x12345678,
		.flags = 0x1122334455667788,
		.mode = 0640,
		.path_length = 5,
	};
	struct request request;
	char bytes[128];

	(void)state;
	assert_int_equal(decode(bytes, make(bytes, &header, "/etc/"), &request), 0);
	assert_int_equal(request.operation, FDBROKER_OPEN);
	assert_int_equal(request.id, 0x12345678);
	assert_true(request.flags == 0x1122334455667788);
	assert_int_equal(request.mode, 0640);
	assert_int_equal(request.path_length, 5);
}

static void test_every_length(void **state)
{
	struct fdbroker_request header = {.version = 1, .operation = 7, .id = 9, .path_length = 4};
	struct request request;
	char bytes[128];
	size_t whole = make(bytes, &header, "/abcdef");

	(void)state;
	for (size_t length = 0; length <= whole; length++) {
		int error = decode(bytes, length, &request);
		assert_int_equal(error, length == sizeof(header) + 4 ? 0 : -EBADMSG);
		/* The id is repeated as soon as it has arrived. */
		assert_int_equal(request.id, length >= 8 && length <= whole ? 9 : 0);
	}
}

static void test_lengths_that_do_not_add_up(void **state)
{
	static const struct {
		uint16_t path, extra;
	} table[] = {
		{5, 0}, {3, 0}, {4, 1}, {3, 1}, {0, 4}, {65535, 0}, {0, 65535}, {65535, 65535}};
	struct request request;
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fdbroker_request header = {
			.version = 1,
			.operation = FDBROKER_OPEN,
			.path_length = table[i].path,
			.extra_length = table[i].extra,
		};
		assert_int_equal(decode(bytes, make(bytes, &header, "/abc"), &request), -EBADMSG);
	}
}

/* What has extra bytes, and how many. */
static void test_extra(void **state)
{
	struct request request;
	char bytes[128];

	(void)state;
	for (uint16_t operation = 0; operation < 40; operation++) {
		bool any = operation == FDBROKER_RENAME || operation == FDBROKER_LINK ||
			   operation == FDBROKER_SYMLINK;
		for (uint16_t extra = 0; extra <= 40; extra++) {
			struct fdbroker_request header = {
				.version = 1,
				.operation = operation,
				.id = 5,
				.path_length = 4,
				.extra_length = extra,
			};
			memcpy(bytes, &header, sizeof(header));
			memset(bytes + sizeof(header), 'x', 44);
			int error = decode(bytes, sizeof(header) + 4u + extra, &request);
			bool fits = any || extra == (operation == FDBROKER_UTIMENS
								    ? sizeof(struct fdbroker_times)
								    : 0);
			assert_int_equal(error, fits ? 0 : -EBADMSG);
			if (fits)
				assert_int_equal(request.extra_length, extra);
		}
	}
}

static void test_another_version(void **state)
{
	struct fdbroker_request header = {.version = 2, .operation = 1, .id = 3};
	struct request request;
	char bytes[128];

	(void)state;
	/* What follows the id may mean anything in another version. */
	size_t whole = make(bytes, &header, "/abc");
	for (size_t length = 8; length <= whole; length++) {
		assert_int_equal(decode(bytes, length, &request), -EPROTONOSUPPORT);
		assert_int_equal(request.id, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_lengths_that_do_not_add_up),
		cmocka_unit_test(test_extra),
		cmocka_unit_test(test_another_version),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
