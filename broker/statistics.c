/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <stdarg.h>
#include <stdio.h>

/* By their numbers, which are fixed (fdbroker-protocol.h). */
static const char *const operations[STATISTICS_OPERATIONS] = {"invalid", "open", "status", "stat",
	"access", "readlink", "list", "tree", "mkdir", "rmdir", "unlink", "rename", "link",
	"symlink", "chmod", "utimens", "watch", "connect", "bind", "reload", "sync", "restarted"};
static const char *const results[STATISTICS_RESULTS] = {"allow", "deny", "error"};
static const char *const limits[STATISTICS_LIMITS] = {
	"connections", "opens", "descriptors", "bytes", "rate"};
/* Microseconds. */
static const unsigned int buckets[STATISTICS_BUCKETS] = {
	2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000, 1000000, 10000000};

/* There is one writer: no locked instruction. */
static void add(_Atomic uint64_t *counter, uint64_t number)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + number,
		memory_order_relaxed);
}

void statistics_request(struct statistics *own, unsigned int operation,
	enum statistics_result result, int64_t nanoseconds)
{
	unsigned int bucket = 0;

	if (nanoseconds < 0)
		nanoseconds = 0;
	while (bucket < STATISTICS_BUCKETS && nanoseconds > (int64_t)buckets[bucket] * 1000)
		bucket++;
	add(&own->requests[operation < STATISTICS_OPERATIONS ? operation : 0][result], 1);
	add(&own->latency[bucket], 1);
	add(&own->nanoseconds, (uint64_t)nanoseconds);
}

void statistics_limit(struct statistics *own, enum statistics_limit limit)
{
	add(&own->limits[limit], 1);
}

void statistics_accept(struct statistics *own)
{
	add(&own->accepted, 1);
}

/* The sum of one counter over the chain: of the one at `offset`. */
static uint64_t sum(const struct statistics *first, size_t offset)
{
	uint64_t total = 0;

	for (; first; first = first->next) {
		const void *counter = (const char *)first + offset;

		total += atomic_load_explicit(
			(const _Atomic uint64_t *)counter, memory_order_relaxed);
	}
	return total;
}

struct text {
	char *bytes;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void print(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->bytes + text->used, text->size - text->used, format, arguments);
	va_end(arguments);
	/* A line that does not fit is left out whole. */
	if (length > 0 && (size_t)length < text->size - text->used)
		text->used += (size_t)length;
	text->bytes[text->used] = '\0';
}

/* Operations that nobody has asked for are left out. */
static void print_requests(struct text *text, const struct statistics *first)
{
	uint64_t numbers[STATISTICS_OPERATIONS][STATISTICS_RESULTS], requests = 0, denials = 0;

	for (unsigned int i = 0; i < STATISTICS_OPERATIONS; i++) {
		for (unsigned int j = 0; j < STATISTICS_RESULTS; j++) {
			numbers[i][j] = sum(first, offsetof(struct statistics, requests[i][j]));
			requests += numbers[i][j];
		}
		denials += numbers[i][STATISTICS_DENY];
	}
	print(text, "requests %llu\n", (unsigned long long)requests);
	print(text, "denials %llu\n", (unsigned long long)denials);
	for (unsigned int i = 0; i < STATISTICS_OPERATIONS; i++) {
		if (!(numbers[i][0] | numbers[i][1] | numbers[i][2]))
			continue;
		for (unsigned int j = 0; j < STATISTICS_RESULTS; j++)
			print(text, "requests_%s_%s %llu\n", operations[i], results[j],
				(unsigned long long)numbers[i][j]);
	}
}

/* Each number is that of all requests that took as long at most, as histograms of Prometheus have it. */
static void print_latency(struct text *text, const struct statistics *first)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i <= STATISTICS_BUCKETS; i++) {
		total += sum(first, offsetof(struct statistics, latency[i]));
		if (i < STATISTICS_BUCKETS)
			print(text, "latency_us_%u %llu\n", buckets[i], (unsigned long long)total);
	}
	print(text, "latency_us_inf %llu\n", (unsigned long long)total);
	print(text, "latency_us_sum %llu\n",
		(unsigned long long)sum(first, offsetof(struct statistics, nanoseconds)) / 1000);
}

void statistics_begin(struct statistics_set *set)
{
	pthread_mutex_init(&set->mutex, NULL);
	set->first = NULL;
}

void statistics_join(struct statistics_set *set, struct statistics *own)
{
	pthread_mutex_lock(&set->mutex);
	own->next = set->first;
	set->first = own;
	pthread_mutex_unlock(&set->mutex);
}

void statistics_leave(struct statistics_set *set, struct statistics *own)
{
	pthread_mutex_lock(&set->mutex);
	for (struct statistics **at = &set->first; *at; at = &(*at)->next) {
		if (*at != own)
			continue;
		*at = own->next;
		break;
	}
	pthread_mutex_unlock(&set->mutex);
}

size_t statistics_print(struct statistics_set *set, char *bytes, size_t size)
{
	struct text text = {.bytes = bytes, .size = size};

	pthread_mutex_lock(&set->mutex);
	const struct statistics *first = set->first;
	print(&text, "accepted %llu\n",
		(unsigned long long)sum(first, offsetof(struct statistics, accepted)));
	print_requests(&text, first);
	for (unsigned int i = 0; i < STATISTICS_LIMITS; i++)
		print(&text, "limits_%s %llu\n", limits[i],
			(unsigned long long)sum(first, offsetof(struct statistics, limits[i])));
	print_latency(&text, first);
	pthread_mutex_unlock(&set->mutex);
	return text.used;
}
