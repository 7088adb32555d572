/* SPDX-License-Identifier: MIT */
#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* SD_LISTEN_FDS_START */
#define FIRST 3

static int get_option(int socket, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(socket, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

/* What the socket is bound to, as one writes it. NULL, or what is wrong. */
static const char *read_address(int socket, char text[LISTEN_BOUND_MAX])
{
	struct sockaddr_un address = {0};
	socklen_t length = sizeof(address);

	if (getsockname(socket, (struct sockaddr *)&address, &length) < 0)
		return strerror(errno);
	size_t size = length - offsetof(struct sockaddr_un, sun_path);
	if (length <= offsetof(struct sockaddr_un, sun_path) + 1)
		return "the socket has no address";
	/* The kernel gives all 108 bytes of a path that fills them, and may count its NUL. */
	if (size > sizeof(address.sun_path))
		size = sizeof(address.sun_path);
	memcpy(text, address.sun_path, size);
	text[size] = '\0';
	if (text[0] == '\0') {
		text[0] = '@';
		if (strlen(text) != size)
			return "its abstract name has a NUL in it: nobody could write it down";
	} else if (text[0] != '/') {
		return "it is bound to a relative path: bind it to an absolute one";
	}
	return NULL;
}

/* NULL, or what is wrong with the socket. */
static const char *take_socket(int descriptor, char address[LISTEN_BOUND_MAX])
{
	if (fcntl(descriptor, F_GETFD) < 0)
		return "the descriptor is not open";
	if (get_option(descriptor, SO_DOMAIN) != AF_UNIX ||
		get_option(descriptor, SO_TYPE) != SOCK_SEQPACKET)
		return "it is no UNIX socket of the type SOCK_SEQPACKET";
	if (get_option(descriptor, SO_ACCEPTCONN) != 1)
		return "the socket does not listen";
	const char *wrong = read_address(descriptor, address);
	if (!wrong && listen_prepare(descriptor) < 0)
		wrong = strerror(errno);
	return wrong;
}

static bool is_given(const struct options *options, const struct inherited *inherited)
{
	const char *address = inherited->sockets[inherited->count].address;

	for (unsigned int i = 0; i < inherited->count; i++)
		if (strcmp(inherited->sockets[i].address, address) == 0)
			return true;
	for (unsigned int i = 0; i < options->address_count && !options->addresses_default; i++)
		if (strcmp(options->addresses[i], address) == 0)
			return true;
	return false;
}

/* How many addresses are still to be bound. */
static unsigned int count_bound(const struct options *options)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < options->address_count && !options->addresses_default; i++)
		count += listen_descriptor(options->addresses[i]) < 0;
	return count;
}

/* `who` and `name` say where the number is from. */
static int add(const struct options *options, struct inherited *inherited, int descriptor,
	const char *who, const char *name)
{
	struct inherited_socket *socket = &inherited->sockets[inherited->count];
	const char *wrong;

	if (inherited->count + count_bound(options) == OPTIONS_ADDRESSES_MAX) {
		fprintf(stderr, "fdbrokerd: %s: more than %d addresses in all\n", who,
			OPTIONS_ADDRESSES_MAX);
		return 1;
	}
	socket->descriptor = descriptor;
	wrong = take_socket(descriptor, socket->address);
	if (!wrong && is_given(options, inherited))
		wrong = "what it is bound to is listened on already";
	if (wrong) {
		fprintf(stderr, "fdbrokerd: %s: descriptor %d%s%s: %s\n", who, descriptor,
			*name ? ", " : "", name, wrong);
		return 1;
	}
	inherited->count++;
	return 0;
}

/* A whole number. -1 where the text is none, or none that a descriptor or a process could have. */
static long read_whole(const char *text)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long number = strtol(text, &end, 10);
	return errno || *end || number > INT_MAX ? -1 : number;
}

static int read_service(const struct options *options, struct inherited *inherited)
{
	const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int status = 0;

	/* Meant for somebody else: an ancestor has left it in the environment. */
	if (!pid || !number || read_whole(pid) != getpid())
		return 0;
	long count = read_whole(number);
	if (count < 0) {
		fprintf(stderr, "fdbrokerd: LISTEN_FDS=%s: not a number of descriptors\n", number);
		return 1;
	}
	for (int i = 0; i < count && !status; i++) {
		char name[NAME_MAX + 1] = "";
		size_t length = names ? strcspn(names, ":") : 0;
		snprintf(name, sizeof(name), "%.*s", (int)length, names ? names : "");
		if (names)
			names += length + (names[length] == ':');
		status = add(options, inherited, FIRST + i, "LISTEN_FDS", name);
	}
	return status;
}

int inherit_read(const struct options *options, struct inherited *inherited)
{
	int status = 0;

	*inherited = (struct inherited){0};
	if (options->ready >= 0 && fcntl(options->ready, F_GETFD) < 0) {
		fprintf(stderr, "fdbrokerd: --ready-fd %d: the descriptor is not open\n",
			options->ready);
		return 2;
	}
	status = read_service(options, inherited);
	for (unsigned int i = 0; i < options->address_count && !status; i++) {
		int descriptor = listen_descriptor(options->addresses[i]);
		if (descriptor >= 0)
			status = add(options, inherited, descriptor, "--listen fd:N", "");
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return status;
}
