// SPDX-License-Identifier: MIT
/*
 * metrics.c: see metrics.h. The format: https://prometheus.io/docs/instrumenting/exposition_formats/: all lines of one
 * metric stand together, times are in seconds, a histogram's buckets are sums.
 */
#include "metrics.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/*
 * How lines of a status become a metric: either the line NAME, or, where there is a label, all lines that begin with
 * NAME and an underscore, of which the rest is the label's value; with two labels, the last underscore divides it.
 */
static const struct metric {
	const char *name, *metric, *type, *help;
	const char *label, *second_label;
} metrics[] = {
	{"connections", "fdbroker_connections", "gauge", "Clients that are connected.", NULL, NULL},
	{"accepted", "fdbroker_connections_accepted_total", "counter",
		"Connections since the policy was loaded.", NULL, NULL},
	{"requests", "fdbroker_requests_total", "counter", "Requests by operation and result.",
		"operation", "result"},
	{"denials", "fdbroker_denials_total", "counter", "Requests that were denied.", NULL, NULL},
	{"limits", "fdbroker_limits_hit_total", "counter", "Times that a uid ran into a limit.",
		"limit", NULL},
	{"lane_waiting", "fdbroker_lane_waiting", "gauge",
		"Requests that wait for a thread of the offload lane.", NULL, NULL},
	{"lane_running", "fdbroker_lane_running", "gauge", "Requests that its threads do.", NULL,
		NULL},
	{"lane_stuck", "fdbroker_lane_stuck", "gauge",
		"Its threads that hang in a file system, for nobody any more.", NULL, NULL},
	{"lane_threads", "fdbroker_lane_threads", "gauge", "Its threads.", NULL, NULL},
	{"age", "fdbroker_policy_age_seconds", "gauge", "Since the policy was loaded.", NULL, NULL},
	{"subjects", "fdbroker_policy_subjects", "gauge", "Subjects of the policy.", NULL, NULL},
	{"rules", "fdbroker_policy_rules", "gauge", "Rules of the policy.", NULL, NULL},
};

#define METRIC_COUNT (sizeof(metrics) / sizeof(metrics[0]))
#define LATENCY	     "latency_us_"
#define HISTOGRAM    "fdbroker_request_duration_seconds"

/* Lines that say in another form what is said already, or are no quantities. */
static const char *const left_out[] = {"requests", "pid"};

static bool is_word(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return false;
	return length > 0;
}

static void print_head(const char *metric, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* Whether the line is one of the metric's; *rest is what the labels are made of. */
static bool belongs(const struct metric *metric, const struct metrics_line *line, const char **rest)
{
	size_t length = strlen(metric->name);

	if (!text_is_number(line->value) || strncmp(line->name, metric->name, length) != 0)
		return false;
	*rest = line->name + length;
	if (!metric->label)
		return **rest == '\0';
	if (**rest != '_' || !is_word(*rest + 1, strlen(*rest + 1)))
		return false;
	++*rest;
	return !metric->second_label || strchr(*rest, '_');
}

static void print_sample(
	const struct metric *metric, const struct metrics_line *line, const char *rest)
{
	const char *divide = strrchr(rest, '_');

	if (!metric->label)
		printf("%s %s\n", metric->metric, line->value);
	else if (!metric->second_label)
		printf("%s{%s=\"%s\"} %s\n", metric->metric, metric->label, rest, line->value);
	else
		printf("%s{%s=\"%.*s\",%s=\"%s\"} %s\n", metric->metric, metric->label,
			(int)(divide - rest), rest, metric->second_label, divide + 1, line->value);
}

static void print_metric(
	const struct metric *metric, const struct metrics_line *lines, size_t count)
{
	bool any = false;
	const char *rest;

	for (size_t i = 0; i < count; i++) {
		if (!belongs(metric, &lines[i], &rest))
			continue;
		if (!any)
			print_head(metric->metric, metric->type, metric->help);
		any = true;
		print_sample(metric, &lines[i], rest);
	}
}

/* Microseconds as seconds, without a rounding that a double would bring. */
static void print_seconds(const char *microseconds)
{
	unsigned long long number = strtoull(microseconds, NULL, 10);

	printf("%llu.%06llu", number / 1000000, number % 1000000);
}

static void print_latency(const struct metrics_line *lines, size_t count)
{
	const char *sum = NULL, *all = NULL;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		const char *rest = lines[i].name + strlen(LATENCY);

		if (strncmp(lines[i].name, LATENCY, strlen(LATENCY)) != 0 ||
			!text_is_number(lines[i].value))
			continue;
		if (strcmp(rest, "sum") == 0) {
			sum = lines[i].value;
		} else if (strcmp(rest, "inf") == 0) {
			all = lines[i].value;
		} else if (text_is_number(rest)) {
			if (!any)
				print_head(HISTOGRAM, "histogram", "Time that requests took.");
			any = true;
			fputs(HISTOGRAM "_bucket{le=\"", stdout);
			print_seconds(rest);
			printf("\"} %s\n", lines[i].value);
		}
	}
	if (!any || !sum || !all)
		return;
	printf(HISTOGRAM "_bucket{le=\"+Inf\"} %s\n" HISTOGRAM "_sum ", all);
	print_seconds(sum);
	printf("\n" HISTOGRAM "_count %s\n", all);
}

static bool is_known(const struct metrics_line *line)
{
	const char *rest;

	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (belongs(&metrics[i], line, &rest))
			return true;
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (strcmp(line->name, left_out[i]) == 0)
			return true;
	return strncmp(line->name, LATENCY, strlen(LATENCY)) == 0;
}

static void print_version(const struct metrics_line *line)
{
	static const char harmless[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-";

	print_head("fdbroker_info", "gauge", "The broker's version.");
	printf("fdbroker_info{version=\"%.*s\"} 1\n", (int)strspn(line->value, harmless),
		line->value);
}

void metrics_print(const struct metrics_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(lines[i].name, "version") == 0)
			print_version(&lines[i]);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		print_metric(&metrics[i], lines, count);
	print_latency(lines, count);
	for (size_t i = 0; i < count; i++)
		if (text_is_number(lines[i].value) && !is_known(&lines[i]) &&
			is_word(lines[i].name, strlen(lines[i].name)))
			printf("# TYPE fdbroker_%s untyped\nfdbroker_%s %s\n", lines[i].name,
				lines[i].name, lines[i].value);
}
