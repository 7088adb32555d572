// SPDX-License-Identifier: MIT
/*
 * socket.c: the subcommands connect and bind: a socket, handed to a command.
 *
 * The addresses are those that a policy has, one at a time. What the command does with the socket is its own affair;
 * this file never speaks on it, save that connect without a command copies, as netcat does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "command.h"
#include "fdbroker.h"
#include "operands.h"
#include "policy.h"
#include "relay.h"
#include "report.h"

#define FD_VARIABLE "FDBROKER_FD"
/* What sd_listen_fds(3) begins with. */
#define LISTEN_FD 3

struct socket_request {
	const char *socket;
	struct operands operands; /* its path is the address */
	int type;		  /* 0: as the address calls for */
	bool listens;
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} address;
	socklen_t length;
};

/* ---- the command line ------------------------------------------------------------------------- */

static int parse_type(const struct command *self, const char *name, int *type)
{
	if (strcmp(name, "stream") == 0)
		*type = SOCK_STREAM;
	else if (strcmp(name, "seqpacket") == 0)
		*type = SOCK_SEQPACKET;
	else if (strcmp(name, "dgram") == 0)
		*type = SOCK_DGRAM;
	else
		return command_misused(
			self, "`%s` is no type: stream, seqpacket and dgram are", name);
	return 0;
}

static int parse_options(const struct command *self, int argc, char **argv,
	const struct option *options, struct socket_request *request)
{
	int value, error = 0;

	while (error == 0 && (value = command_option(self, argc, argv, options)) != -1) {
		if (value == 't')
			error = parse_type(self, optarg, &request->type);
		else if (value == 'l')
			request->listens = true;
		else
			request->socket = optarg;
	}
	return error;
}

static int parse_connect(const struct command *self, int argc, char **argv, void *data)
{
	static const struct option options[] = {
		{"type", required_argument, NULL, 't'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};

	return parse_options(self, argc, argv, options, data);
}

static int parse_bind(const struct command *self, int argc, char **argv, void *data)
{
	static const struct option options[] = {
		{"type", required_argument, NULL, 't'},
		{"listen", no_argument, NULL, 'l'},
		{"socket", required_argument, NULL, 's'},
		COMMAND_COMMON_OPTIONS,
	};

	return parse_options(self, argc, argv, options, data);
}

/* Puts the address into its binary form. 0 or a negative errno. */
static int fill_address(struct socket_request *request, const struct policy_address *address)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);

	if (address->protocol == POLICY_UNIX || address->protocol == POLICY_UNIX_DATAGRAM) {
		if (address->length + address->abstract > sizeof(request->address.local.sun_path))
			return -ENAMETOOLONG;
		request->address.local.sun_family = AF_UNIX;
		memcpy(request->address.local.sun_path + address->abstract, address->name,
			address->length);
		request->length = (socklen_t)(head + address->length + address->abstract);
	} else if (address->ip6) {
		request->address.six.sin6_family = AF_INET6;
		request->address.six.sin6_port = htons(address->port);
		request->address.six.sin6_scope_id = address->scope;
		memcpy(&request->address.six.sin6_addr, address->ip, 16);
		request->length = sizeof(request->address.six);
	} else {
		request->address.four.sin_family = AF_INET;
		request->address.four.sin_port = htons(address->port);
		memcpy(&request->address.four.sin_addr, address->ip, 4);
		request->length = sizeof(request->address.four);
	}
	return 0;
}

/* Reads the address, and what type of socket it takes. 0, EXIT_USAGE or EXIT_FAILED. */
static int parse_address(const struct command *self, struct socket_request *request)
{
	const char *text = request->operands.path;
	struct policy_address address;
	int error;

	if (policy_address_parse(text, strlen(text), &address))
		return command_misused(self,
			"`%s` is no address: unix:/PATH, unix:@NAME, unix-dgram:..., tcp:IP:PORT, "
			"tcp:[IP]:PORT and udp:... are",
			text);
	bool datagram = address.protocol == POLICY_UNIX_DATAGRAM || address.protocol == POLICY_UDP;
	if (!request->type)
		request->type = datagram ? SOCK_DGRAM : SOCK_STREAM;
	if (datagram != (request->type == SOCK_DGRAM) ||
		(request->type == SOCK_SEQPACKET && address.protocol != POLICY_UNIX))
		return command_misused(self, "%s has no sockets of that --type", text);
	error = fill_address(request, &address);
	return error ? report_failure(self->name, text, -error) : 0;
}

/* ---- doing it --------------------------------------------------------------------------------- */

typedef int make_socket(
	struct fdbroker *broker, int type, const struct sockaddr *address, socklen_t length);

/* The socket, or -1 after having reported why not, with the exit code in *result. */
static int get_socket(const struct command *self, const struct socket_request *request,
	make_socket *make, int *result)
{
	struct fdbroker *broker = fdbroker_connect(request->socket);
	int fd, error;

	if (!broker) {
		*result = report_no_connection(self->name, request->socket, errno);
		return -1;
	}
	fd = make(broker, request->type, &request->address.any, request->length);
	error = errno;
	fdbroker_disconnect(broker);
	if (fd < 0)
		*result = report_failure(self->name, request->operands.path, error);
	return fd;
}

static int set_number(const char *name, long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", number);
	return setenv(name, text, 1);
}

/* Becomes COMMAND, with the socket as a descriptor of any number. Returns only if that fails. */
static int run_command(const struct command *self, const struct socket_request *request, int fd)
{
	if (fcntl(fd, F_SETFD, 0) < 0 || set_number(FD_VARIABLE, fd) < 0) {
		report_failure(self->name, request->operands.path, errno);
		return EXIT_CANNOT_RUN;
	}
	return operands_execute(&request->operands);
}

/* Likewise, with a socket that listens, in the manner of sd_listen_fds(3). */
static int run_listening(const struct command *self, const struct socket_request *request, int fd)
{
	if (listen(fd, SOMAXCONN) < 0 || (fd != LISTEN_FD && dup2(fd, LISTEN_FD) < 0) ||
		set_number("LISTEN_PID", getpid()) < 0 || set_number("LISTEN_FDS", 1) < 0 ||
		unsetenv("LISTEN_FDNAMES") < 0) {
		report_failure(self->name, request->operands.path, errno);
		return EXIT_CANNOT_RUN;
	}
	if (fd != LISTEN_FD)
		close(fd);
	return run_command(self, request, LISTEN_FD);
}

int command_connect(const struct command *self, int argc, char **argv)
{
	struct socket_request request = {0};
	int result = operands_parse(self, argc, argv, parse_connect, &request, &request.operands);
	int fd;

	if (result == 0)
		result = parse_address(self, &request);
	if (result != 0)
		return result;
	fd = get_socket(self, &request, fdbroker_socket_connect, &result);
	if (fd < 0)
		return result;
	if (request.operands.command)
		result = run_command(self, &request, fd);
	else
		result = relay(self->name, request.operands.path, fd, request.type != SOCK_STREAM);
	close(fd);
	return result;
}

int command_bind(const struct command *self, int argc, char **argv)
{
	struct socket_request request = {0};
	int result = operands_parse(self, argc, argv, parse_bind, &request, &request.operands);
	int fd;

	if (result == 0)
		result = parse_address(self, &request);
	if (result != 0)
		return result;
	if (!request.operands.command)
		return command_misused(self, "it needs a COMMAND after --");
	if (request.listens && request.type == SOCK_DGRAM)
		return command_misused(self, "--listen is for what connections are made to");
	fd = get_socket(self, &request, fdbroker_socket_bind, &result);
	if (fd < 0)
		return result;
	result = request.listens ? run_listening(self, &request, fd)
				 : run_command(self, &request, fd);
	close(fd);
	return result;
}
