// SPDX-License-Identifier: MIT
/*
 * test-directory.c: reading directories, from a broker that answers well and from one that means harm.
 *
 * A hostile page is put together byte by byte. Built with the address sanitizer, the test sees a read
 * beyond what came; without it, that nothing but the right entries comes out.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "calls.h"
#include "fake.h"
#include "fdbroker-protocol.h"
#include "fdbroker.h"

/* A page as it goes over the wire. */
struct page {
	char bytes[FDBROKER_REPLY_MAX];
	size_t length;
};

static void page_begin(struct page *page, uint64_t next)
{
	const struct fdbroker_list list = {.next = next};

	memcpy(page->bytes, &list, sizeof(list));
	page->length = sizeof(list);
}

static void page_add_raw(
	struct page *page, const struct fdbroker_entry *entry, const char *name, size_t length)
{
	memcpy(page->bytes + page->length, entry, sizeof(*entry));
	memcpy(page->bytes + page->length + sizeof(*entry), name, length);
	page->length += sizeof(*entry) + length;
}

static void page_add(struct page *page, uint64_t inode, uint8_t type, const char *name)
{
	const struct fdbroker_entry entry = {
		.inode = inode, .type = type, .name_length = (uint8_t)strlen(name)};

	page_add_raw(page, &entry, name, strlen(name));
}

static struct fake_turn turn(uint64_t position, const struct page *page)
{
	return (struct fake_turn){
		FDBROKER_LIST, position, .path = "/d", .data = page->bytes, .length = page->length};
}

static void check_entry(struct fdbroker_dir *directory, uint64_t inode, int type, const char *name)
{
	struct dirent *entry;

	errno = EXDEV;
	entry = fdbroker_readdir(directory);
	if (!entry)
		fail_msg("%s: %s", name, strerror(errno));
	assert_int_equal(errno, EXDEV);
	assert_string_equal(entry->d_name, name);
	assert_int_equal(entry->d_ino, inode);
	assert_int_equal(entry->d_type, type);
}

/* The end (0), or a failure, and that it stays. */
static void check_end(struct fdbroker_dir *directory, int error)
{
	int i;

	for (i = 0; i < 2; i++) {
		errno = EXDEV;
		assert_null(fdbroker_readdir(directory));
		assert_int_equal(errno, error ? error : EXDEV);
	}
}

static void check_no_directory(struct fdbroker *broker, const char *path, int error)
{
	errno = 0;
	assert_null(fdbroker_opendir(broker, path));
	assert_int_equal(errno, error);
}

/* ---- a good broker ---------------------------------------------------------------------------- */

static void test_pages(void **state)
{
	static struct page first, second, third;
	char longest[256];
	struct fake_turn turns[4];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	memset(longest, 'x', 255);
	longest[255] = '\0';
	page_begin(&first, 7);
	page_add(&first, 1, DT_REG, "a");
	page_add(&first, UINT64_MAX, DT_DIR, "...");
	page_begin(&second, INT64_MAX);
	page_add(&second, 0, DT_UNKNOWN, longest);
	page_add(&second, 4, DT_LNK, "\xff\n ");
	page_begin(&third, 0);
	page_add(&third, 5, DT_SOCK, "..z");
	turns[0] = turn(0, &first);
	turns[1] = turn(7, &second);
	/* A failure on the way is told, and reading goes on from there. */
	turns[2] = (struct fake_turn){FDBROKER_LIST, INT64_MAX, .path = "/d", .error = EDQUOT};
	turns[3] = turn(INT64_MAX, &third);
	broker = calls_start(&fake, turns, 4);
	directory = fdbroker_opendir(broker, "//d/.");
	assert_non_null(directory);
	check_entry(directory, 1, DT_REG, "a");
	check_entry(directory, UINT64_MAX, DT_DIR, "...");
	check_entry(directory, 0, DT_UNKNOWN, longest);
	check_entry(directory, 4, DT_LNK, "\xff\n ");
	errno = 0;
	assert_null(fdbroker_readdir(directory));
	assert_int_equal(errno, EDQUOT);
	check_entry(directory, 5, DT_SOCK, "..z");
	check_end(directory, 0);
	assert_int_equal(fdbroker_closedir(directory), 0);
	calls_stop(&fake, broker);
}

static void test_empty(void **state)
{
	static struct page some, none;
	struct fake_turn turns[3];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&none, 0);
	page_begin(&some, 1);
	page_add(&some, 1, DT_REG, "a");
	turns[0] = turn(0, &none);
	turns[1] = turn(0, &some);
	turns[2] = turn(1, &none);
	broker = calls_start(&fake, turns, 3);
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	check_end(directory, 0);
	fdbroker_closedir(directory);
	/* The last page may be without entries. */
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	check_entry(directory, 1, DT_REG, "a");
	check_end(directory, 0);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

/* The largest page that there can be. */
static void test_full_page(void **state)
{
	static struct page page;
	struct fake_turn turns[1];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;
	char name[256];
	int count = 0, i;

	(void)state;
	page_begin(&page, 0);
	while (page.length + sizeof(struct fdbroker_entry) + 8 <=
		FDBROKER_REPLY_MAX - sizeof(struct fdbroker_reply)) {
		snprintf(name, sizeof(name), "%08d", count++);
		page_add(&page, 1, DT_REG, name);
	}
	turns[0] = turn(0, &page);
	broker = calls_start(&fake, turns, 1);
	directory = fdbroker_opendir(broker, "/d/");
	assert_non_null(directory);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%08d", i);
		check_entry(directory, 1, DT_REG, name);
	}
	check_end(directory, 0);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

static void test_not_opened(void **state)
{
	const struct fake_turn turns[] = {
		{FDBROKER_LIST, .path = "/d", .error = EACCES},
		{FDBROKER_LIST, .path = "/d", .error = ENOTDIR},
	};
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	broker = calls_start(&fake, turns, COUNT(turns));
	check_no_directory(broker, "/d", EACCES);
	check_no_directory(broker, "/d/", ENOTDIR);
	check_no_directory(broker, "/d/..", EINVAL);
	check_no_directory(broker, "", ENOENT);
	check_no_directory(broker, NULL, EFAULT);
	check_no_directory(NULL, "/d", ENOTCONN);
	assert_null(fdbroker_readdir(NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(fdbroker_closedir(NULL), -1);
	assert_int_equal(errno, EINVAL);
	calls_stop(&fake, broker);
	check_no_directory(NULL, "/d", ENOTCONN);
}

/* The directory stays the one it was, wherever the program goes. */
static void test_relative(void **state)
{
	static struct page first, last;
	char here[200], path[256];
	struct fake_turn turns[2];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	assert_int_equal(chdir("/proc/self"), 0);
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(path, sizeof(path), "%s/d", here);
	page_begin(&first, 3);
	page_add(&first, 1, DT_REG, "a");
	page_begin(&last, 0);
	turns[0] = turn(0, &first);
	turns[1] = turn(3, &last);
	turns[0].path = turns[1].path = path;
	broker = calls_start(&fake, turns, 2);
	directory = fdbroker_opendir(broker, "./d/");
	assert_non_null(directory);
	assert_int_equal(chdir("/"), 0);
	check_entry(directory, 1, DT_REG, "a");
	check_end(directory, 0);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

static void ignore_alarm(int number)
{
	(void)number;
}

static void test_signals(void **state)
{
	const struct itimerval storm = {{0, 500}, {0, 500}}, calm = {};
	struct sigaction action = {.sa_handler = ignore_alarm}, before;
	static struct page first, last;
	struct fake_turn turns[2];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&first, 3);
	page_add(&first, 1, DT_REG, "a");
	page_begin(&last, 0);
	turns[0] = turn(0, &first);
	turns[1] = turn(3, &last);
	turns[0].delay_ms = turns[1].delay_ms = 50;
	broker = calls_start(&fake, turns, 2);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &storm, NULL);
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	check_entry(directory, 1, DT_REG, "a");
	check_end(directory, 0);
	setitimer(ITIMER_REAL, &calm, NULL);
	sigaction(SIGALRM, &before, NULL);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

/* ---- a hostile one ---------------------------------------------------------------------------- */

/* A list that is none: nothing is opened. The connection stays in step. */
static void test_hostile_lists(void **state)
{
	static struct page short_page, nothing, endless, whole;
	struct fake_turn turns[4];
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&short_page, 0);
	short_page.length--;
	page_begin(&endless, 1);
	page_begin(&whole, 0);
	turns[0] = turn(0, &short_page);
	turns[1] = turn(0, &nothing);
	turns[2] = turn(0, &endless);
	turns[3] = turn(0, &whole);
	turns[3].descriptors = 1;
	broker = calls_start(&fake, turns, 4);
	check_no_directory(broker, "/d", EPROTO);
	check_no_directory(broker, "/d", EPROTO);
	check_no_directory(broker, "/d", EPROTO);
	/* A descriptor that nobody asked for. */
	check_no_directory(broker, "/d", EPROTO);
	calls_stop(&fake, broker);
}

/* A list that does not end. */
static void test_hostile_positions(void **state)
{
	static struct page first, same, empty;
	struct fake_turn turns[5];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&first, 7);
	page_add(&first, 1, DT_REG, "a");
	page_begin(&same, 7);
	page_add(&same, 2, DT_REG, "b");
	page_begin(&empty, 8);
	turns[0] = turn(0, &first);
	turns[1] = turns[2] = turn(7, &same);
	turns[3] = turns[4] = turn(7, &empty);
	broker = calls_start(&fake, turns, 5);
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	check_entry(directory, 1, DT_REG, "a");
	check_end(directory, EPROTO);
	check_end(directory, EPROTO);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

/* Entries that are none, each after a good one. */
static void test_hostile_entries(void **state)
{
	static const struct {
		const char *what;
		struct fdbroker_entry entry;
		const char *name;
		size_t length; /* of the name as it is sent */
		size_t cut;    /* bytes of it all */
	} cases[] = {
		{"no name", {.name_length = 0}, "", 0, 0},
		{"one byte of an entry", {}, "", 0, 15},
		{"all but one byte", {}, "", 0, 1},
		{"a name beyond the data", {.name_length = 2}, "a", 1, 0},
		{"the longest name, not there", {.name_length = 255}, "", 0, 0},
		{"a name cut off", {.name_length = 255}, "abc", 3, 0},
		{"dot", {.name_length = 1}, ".", 1, 0},
		{"dot dot", {.name_length = 2}, "..", 2, 0},
		{"a path", {.name_length = 4}, "../x", 4, 0},
		{"an absolute path", {.name_length = 2}, "/x", 2, 0},
		{"a slash at the end", {.name_length = 2}, "x/", 2, 0},
		{"a NUL", {.name_length = 3}, "a\0b", 3, 0},
		{"reserved, first", {.name_length = 1, .reserved = {1}}, "a", 1, 0},
		{"reserved, last", {.name_length = 1, .reserved = {[5] = 0x80}}, "a", 1, 0},
	};
	static struct page page;
	struct fake_turn turns[1];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		page_begin(&page, 9);
		page_add(&page, 1, DT_REG, "good");
		page_add_raw(&page, &cases[i].entry, cases[i].name, cases[i].length);
		page.length -= cases[i].cut;
		turns[0] = turn(0, &page);
		print_message("# %s\n", cases[i].what);
		broker = calls_start(&fake, turns, 1);
		directory = fdbroker_opendir(broker, "/d");
		assert_non_null(directory);
		check_entry(directory, 1, DT_REG, "good");
		check_end(directory, EPROTO);
		fdbroker_closedir(directory);
		calls_stop(&fake, broker);
	}
}

/* An entry that ended with one page does not get its name from the page before. */
static void test_page_that_shrinks(void **state)
{
	static struct page first, second;
	struct fake_turn turns[2];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&first, 5);
	page_add(&first, 1, DT_REG, "abcdefghijklmnop");
	page_begin(&second, 0);
	page_add_raw(&second, &(struct fdbroker_entry){.name_length = 16}, "AB", 2);
	turns[0] = turn(0, &first);
	turns[1] = turn(5, &second);
	broker = calls_start(&fake, turns, 2);
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	check_entry(directory, 1, DT_REG, "abcdefghijklmnop");
	check_end(directory, EPROTO);
	fdbroker_closedir(directory);
	calls_stop(&fake, broker);
}

static void test_broker_that_goes_away(void **state)
{
	static struct page first;
	struct fake_turn turns[1];
	struct fdbroker_dir *directory;
	struct fdbroker *broker;
	struct fake fake;

	(void)state;
	page_begin(&first, 5);
	page_add(&first, 1, DT_REG, "a");
	turns[0] = turn(0, &first);
	broker = calls_start(&fake, turns, 1);
	directory = fdbroker_opendir(broker, "/d");
	assert_non_null(directory);
	fake_wait(&fake);
	check_entry(directory, 1, DT_REG, "a");
	check_end(directory, ECONNRESET);
	fdbroker_closedir(directory);
	fdbroker_disconnect(broker);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_full_page),
		cmocka_unit_test(test_not_opened),
		cmocka_unit_test(test_relative),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_hostile_lists),
		cmocka_unit_test(test_hostile_positions),
		cmocka_unit_test(test_hostile_entries),
		cmocka_unit_test(test_page_that_shrinks),
		cmocka_unit_test(test_broker_that_goes_away),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
