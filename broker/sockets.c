/* SPDX-License-Identifier: MIT */
#include "sockets.h"

#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void add(struct sockets *sockets, const char *address, int socket)
{
	sockets->listeners[sockets->count++] = (struct listener){
		.address = address,
		.socket = socket,
		.inherited = socket >= 0,
	};
}

void sockets_init(struct sockets *sockets, const struct options *options,
	const struct inherited *inherited, struct audit_line *line, int log)
{
	*sockets = (struct sockets){.options = options, .line = line, .log = log};
	for (unsigned int i = 0; i < inherited->count; i++)
		add(sockets, inherited->sockets[i].address, inherited->sockets[i].descriptor);
	if (options->addresses_default && inherited->count)
		return;
	for (unsigned int i = 0; i < options->address_count; i++)
		if (listen_descriptor(options->addresses[i]) < 0)
			add(sockets, options->addresses[i], -1);
}

void sockets_describe(const struct sockets *sockets, char text[SOCKETS_TEXT])
{
	char *end = text;

	*text = '\0';
	for (unsigned int i = 0; i < sockets->count; i++)
		end += sprintf(end, "%s%s", i ? " " : "", sockets->listeners[i].address);
}

static const char *listen_advice(int error, const char *address)
{
	bool pathname = address[0] == '/', netns = strncmp(address, "netns:", 6) == 0;

	switch (-error) {
	case EADDRINUSE:
		return pathname ? ": somebody answers there, or it is no socket"
				: ": another process has taken the name";
	case ENOENT:
		return netns ? ": there is no such network namespace (ip netns add NAME)"
			     : ": create its directory first";
	case EINVAL:
		return netns ? ": the file is no network namespace" : "";
	case ELOOP:
		return netns ? ": symbolic links are not followed there" : "";
	case EPERM:
		return netns ? ": that takes root (CAP_SYS_ADMIN)" : "";
	case ESHUTDOWN:
		return ": the inherited socket was shut down, and only who made it can make another";
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

static int open_one(struct sockets *sockets, struct listener *listener)
{
	const struct options *options = sockets->options;
	int error = listen_open(listener, options->mode, options->group);

	if (!error)
		return 0;
	fprintf(stderr, "fdbrokerd: cannot listen on %s: %s (%s)%s\n", listener->address,
		strerror(-error), strerrorname_np(-error), listen_advice(error, listener->address));
	record_listening(sockets, listener->address, error);
	return error;
}

int sockets_open(struct sockets *sockets)
{
	/* A service manager would make it; whoever names another path makes it himself. */
	if (sockets->options->addresses_default && !sockets->listeners[0].inherited)
		make_directory("/run/fdbroker");
	for (unsigned int i = 0; i < sockets->count; i++) {
		int error = open_one(sockets, &sockets->listeners[i]);
		if (error)
			return error;
	}
	sockets->listening = true;
	return 0;
}

int sockets_mend(struct sockets *sockets)
{
	for (unsigned int i = 0; i < sockets->count; i++) {
		struct listener *listener = &sockets->listeners[i];
		struct pollfd state = {.fd = listener->socket, .events = POLLRDHUP};
		if (poll(&state, 1, 0) == 0)
			continue;
		listen_close(listener);
		int error = open_one(sockets, listener);
		if (error)
			return error;
	}
	return 0;
}

void sockets_close(struct sockets *sockets)
{
	for (unsigned int i = 0; i < sockets->count; i++)
		listen_close(&sockets->listeners[i]);
}

void sockets_transfer(struct sockets *sockets, struct state *state)
{
	state_integer(state, sockets->count);
	if (sockets->count > OPTIONS_ADDRESSES_MAX) {
		state->error = -EPROTO;
		sockets->count = 0;
	}
	state_integer(state, sockets->listening);
	for (unsigned int i = 0; i < sockets->count; i++) {
		struct listener *listener = &sockets->listeners[i];
		char *kept = sockets->kept[i];
		if (!state->reads && listener->address != kept)
			snprintf(kept, LISTEN_ADDRESS_MAX, "%s", listener->address);
		state_text(state, kept, LISTEN_ADDRESS_MAX);
		if (state->reads)
			listener->address = kept;
		state_descriptor(state, &listener->socket);
		state_integer(state, listener->inherited);
		state_integer(state, listener->made);
		state_integer(state, listener->device);
		state_integer(state, listener->inode);
	}
}
