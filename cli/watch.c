// SPDX-License-Identifier: MIT
/*
 * watch.c: the subcommand watch: prints what happens to a file or in a directory, a line each.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "operands.h"
#include "report.h"
#include "text.h"

static const struct {
	const char *name;
	uint32_t event;
} events[] = {
	{"access", IN_ACCESS},
	{"modify", IN_MODIFY},
	{"attrib", IN_ATTRIB},
	{"close-write", IN_CLOSE_WRITE},
	{"close-nowrite", IN_CLOSE_NOWRITE},
	{"open", IN_OPEN},
	{"moved-from", IN_MOVED_FROM},
	{"moved-to", IN_MOVED_TO},
	{"create", IN_CREATE},
	{"delete", IN_DELETE},
	{"delete-self", IN_DELETE_SELF},
	{"move-self", IN_MOVE_SELF},
	{"unmount", IN_UNMOUNT},
	{"overflow", IN_Q_OVERFLOW},
};

#define EVENT_COUNT (sizeof(events) / sizeof(events[0]))
/* What changes something. */
#define EVENTS_DEFAULT                                                                      \
	(IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | \
		IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch_request {
	const char *socket;
	struct operands operands;
	uint32_t mask;
	unsigned long count; /* of lines; 0: all */
};

static int parse_events(const struct command *self, const char *list, uint32_t *mask)
{
	*mask = 0;
	for (;;) {
		const size_t length = strcspn(list, ",");
		size_t i = 0;

		while (i < EVENT_COUNT && (strlen(events[i].name) != length ||
						  strncmp(events[i].name, list, length) != 0))
			i++;
		if (i == EVENT_COUNT || !(events[i].event & IN_ALL_EVENTS))
			return command_misused(self,
				"`%.*s` is no event: access, modify, attrib, close-write, close-nowrite, open, "
				"moved-from, moved-to, create, delete, delete-self, move-self are",
				(int)length, list);
		*mask |= events[i].event;
		if (!list[length])
			return 0;
		list += length + 1;
	}
}

static int parse_options(const struct command *self, int argc, char **argv, void *data)
{
	static const struct option options[] = {
		{"events", required_argument, NULL, 'e'},
		{"count", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};
	struct watch_request *request = data;
	int value, error = 0;

	while (error == 0 && (value = command_option(self, argc, argv, options)) != -1) {
		char *end = NULL;

		switch (value) {
		case 'e':
			error = parse_events(self, optarg, &request->mask);
			break;
		case 'c':
			request->count = strtoul(optarg, &end, 10);
			if (*end != '\0' || request->count == 0 || *optarg < '0' || *optarg > '9')
				error = command_misused(self, "--count takes a number from 1");
			break;
		case 's':
			request->socket = optarg;
			break;
		}
	}
	return error;
}

/* "create,dir NAME"; without the name where the event is about PATH itself. */
static void print_event(const struct inotify_event *event, enum text_form form)
{
	bool first = true;

	for (size_t i = 0; i < EVENT_COUNT; i++) {
		if (!(event->mask & events[i].event))
			continue;
		printf("%s%s", first ? "" : ",", events[i].name);
		first = false;
	}
	if (event->mask & IN_ISDIR)
		printf(",dir");
	if (event->len) {
		putchar(' ');
		text_print(event->name, strlen(event->name), form);
	}
	putchar('\n');
}

static int print_events(const struct command *self, const struct watch_request *request, int fd)
{
	char buffer[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	enum text_form form = text_form_of_output();
	unsigned long count = 0;

	for (;;) {
		ssize_t length = read(fd, buffer, sizeof(buffer));
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return report_failure(self->name, request->operands.path, errno);
		for (const char *at = buffer; at < buffer + length;) {
			const struct inotify_event *event = (const void *)at;
			at += sizeof(*event) + event->len;
			/* What was watched is gone: there is no more to come. */
			if (event->mask & IN_IGNORED)
				return report_printed(self->name, EXIT_DONE);
			print_event(event, form);
			if (++count == request->count)
				return report_printed(self->name, EXIT_DONE);
		}
		if (fflush(stdout) != 0)
			return report_printed(self->name, EXIT_DONE);
	}
}

int command_watch(const struct command *self, int argc, char **argv)
{
	struct watch_request request = {.mask = EVENTS_DEFAULT};
	int result = operands_parse(self, argc, argv, parse_options, &request, &request.operands);
	struct fdbroker *broker;
	int fd, error;

	if (result != 0)
		return result;
	if (request.operands.command)
		return command_misused(self, "it runs no COMMAND");
	broker = fdbroker_connect(request.socket);
	if (!broker)
		return report_no_connection(self->name, request.socket, errno);
	fd = fdbroker_watch(broker, request.operands.path, request.mask, NULL);
	error = errno;
	fdbroker_disconnect(broker);
	if (fd < 0)
		return report_failure(self->name, request.operands.path, error);
	result = print_events(self, &request, fd);
	close(fd);
	return result;
}
