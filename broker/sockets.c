/* SPDX-License-Identifier: MIT */
#include "sockets.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void sockets_init(
	struct sockets *sockets, const struct options *options, struct audit_line *line, int log)
{
	*sockets = (struct sockets){.options = options, .line = line, .log = log};
	for (unsigned int i = 0; i < options->address_count; i++)
		sockets->listeners[i] = (struct listener){
			.address = options->addresses[i],
			.socket = -1,
		};
}

static const char *listen_advice(int error, bool pathname)
{
	switch (-error) {
	case EADDRINUSE:
		return pathname ? ": somebody answers there, or it is no socket"
				: ": another process has taken the name";
	case ENOENT:
		return ": create its directory first";
	}
	return "";
}

/* Whatever the umask: clients must be able to look into it. */
static void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0) {
		if (errno != EEXIST)
			report_failure(path, -errno);
	} else if (chmod(path, 0755) < 0) {
		report_failure(path, -errno);
	}
}

static void record_listening(struct sockets *sockets, const char *address, int error)
{
	audit_begin(sockets->line, sockets->log, "listen");
	audit_string(sockets->line, "verdict", "error");
	audit_string(sockets->line, "listen", address);
	audit_errno(sockets->line, -error);
	audit_end(sockets->line);
}

int sockets_open(struct sockets *sockets)
{
	const struct options *options = sockets->options;

	/* A service manager would make it; whoever names another path makes it himself. */
	if (options->addresses_default)
		make_directory("/run/fdbroker");
	for (unsigned int i = 0; i < options->address_count; i++) {
		struct listener *listener = &sockets->listeners[i];
		int error = listen_open(listener, options->mode, options->group);
		if (!error)
			continue;
		fprintf(stderr, "fdbrokerd: cannot listen on %s: %s (%s)%s\n", listener->address,
			strerror(-error), strerrorname_np(-error),
			listen_advice(error, listener->address[0] == '/'));
		record_listening(sockets, listener->address, error);
		return error;
	}
	sockets->listening = true;
	return 0;
}

void sockets_close(struct sockets *sockets)
{
	for (unsigned int i = 0; i < sockets->options->address_count; i++)
		listen_close(&sockets->listeners[i]);
}
