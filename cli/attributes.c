// SPDX-License-Identifier: MIT
/*
 * attributes.c: the subcommands that change what files are like: chmod and utimens.
 *
 * A time is taken as it is written, in UTC: what this file makes of it must never depend on the time zone or the
 * locale of whoever runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "fdbroker.h"
#include "mode.h"
#include "operands.h"
#include "report.h"

/* ---- chmod ------------------------------------------------------------------------------------ */

static int chmod_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	const mode_t *mode = data;

	return fdbroker_chmod(broker, path, *mode) < 0 ? report_failure(self->name, path, errno)
						       : EXIT_DONE;
}

int command_chmod(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	const char *address = NULL;
	mode_t mode;

	while (command_option(self, argc, argv, options) == 's')
		address = optarg;
	if (optind == argc)
		return command_misused(self, "the mode is missing");
	if (mode_parse(self, argv[optind++], &mode) != 0)
		return EXIT_USAGE;
	return operands_each(self, argc, argv, address, chmod_one, &mode);
}

/* ---- utimens ---------------------------------------------------------------------------------- */

struct times_request {
	const char *socket;
	struct timespec times[2];
	int flags;
};

/* Reads decimals, at most nine, up to the end or `last`. What follows them, or NULL. */
static const char *read_decimals(const char *text, long *nanoseconds)
{
	long unit = 100000000;

	*nanoseconds = 0;
	if (*text != '.')
		return text;
	if (text[1] < '0' || text[1] > '9')
		return NULL;
	for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) {
		if (unit == 0)
			return NULL;
		*nanoseconds += (*text - '0') * unit;
	}
	return text;
}

/* "@SECONDS". What follows the seconds, or NULL. */
static const char *read_seconds(const char *text, time_t *seconds)
{
	const char *digit = text;
	int64_t value = 0;

	/* Some 30,000 years are enough, and fit. */
	for (; *digit >= '0' && *digit <= '9' && digit - text < 13; digit++)
		value = value * 10 + (*digit - '0');
	*seconds = (time_t)value;
	return digit == text ? NULL : digit;
}

/* RFC 3339, in UTC. What follows the seconds, or NULL. */
static const char *read_date(const char *text, time_t *seconds)
{
	struct tm date = {0}, normal;
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);

	if (!end)
		return NULL;
	normal = date;
	*seconds = timegm(&normal);
	/* The 31st of April is no day. */
	return normal.tm_mday == date.tm_mday && normal.tm_sec == date.tm_sec ? end : NULL;
}

/* Returns 0 or EXIT_USAGE. */
static int parse_time(const struct command *self, const char *text, struct timespec *time)
{
	const char *end;

	if (strcmp(text, "now") == 0) {
		time->tv_nsec = UTIME_NOW;
		return 0;
	}
	end = text[0] == '@' ? read_seconds(text + 1, &time->tv_sec)
			     : read_date(text, &time->tv_sec);
	if (end)
		end = read_decimals(end, &time->tv_nsec);
	if (!end || strcmp(end, text[0] == '@' ? "" : "Z") != 0)
		return command_misused(self,
			"`%s` is no time: write now, @SECONDS, or as in 2026-01-31T12:00:00Z",
			text);
	return 0;
}

static int utimens_one(
	const struct command *self, struct fdbroker *broker, const char *path, void *data)
{
	const struct times_request *request = data;

	return fdbroker_utimens(broker, path, request->times, request->flags) < 0
		       ? report_failure(self->name, path, errno)
		       : EXIT_DONE;
}

int command_utimens(const struct command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"accessed", required_argument, NULL, 'a'},
		{"modified", required_argument, NULL, 'm'},
		{"no-follow", no_argument, NULL, 'n'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct times_request request = {
		.times = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}},
	};
	int value, error = 0;

	while (error == 0 && (value = command_option(self, argc, argv, options)) != -1) {
		switch (value) {
		case 'a':
			error = parse_time(self, optarg, &request.times[0]);
			break;
		case 'm':
			error = parse_time(self, optarg, &request.times[1]);
			break;
		case 'n':
			request.flags = AT_SYMLINK_NOFOLLOW;
			break;
		case 's':
			request.socket = optarg;
			break;
		}
	}
	if (error != 0)
		return error;
	if (request.times[0].tv_nsec == UTIME_OMIT && request.times[1].tv_nsec == UTIME_OMIT)
		request.times[0].tv_nsec = request.times[1].tv_nsec = UTIME_NOW;
	return operands_each(self, argc, argv, request.socket, utimens_one, &request);
}
