// SPDX-License-Identifier: MIT
/*
 * report.c: how failures are told.
 *
 * One line says what failed, with the error's words for people and its name for whoever searches.
 * Where there is no connection, the usual reason is something about the sandbox that an errno
 * cannot say, so a second line does: which namespace an address belongs to, and which kind of
 * address would cross.
 *
 * This file only explains; it must never decide anything. To name the owner of a socket that the
 * library turned down it looks for itself, and by then somebody else may be there.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "command.h"
#include "fdbroker-protocol.h"

#define ALTERNATIVES                                                 \
	"use a pathname socket (--socket " FDBROKER_DEFAULT_PATHNAME \
	"), an inherited socket (--socket fd:N), or set $FDBROKER_SOCKET to either"

/* Ends a line with what `error` means. */
static void print_reason(int error)
{
	const char *name = strerrorname_np(error);

	fprintf(stderr, ": %s (%s)\n", strerror(error), name ? name : "unknown");
}

/* A name, with what would do things to a terminal, or to the line, as \ooo. */
static void print_escaped(const char *name)
{
	for (; *name; name++) {
		unsigned char byte = (unsigned char)*name;
		if (byte < 0x20 || byte == 0x7f || byte == '\\')
			fprintf(stderr, "\\%03o", byte);
		else
			fputc(byte, stderr);
	}
}

int report_failure(const char *action, const char *object, int error)
{
	fprintf(stderr, "fdbroker: %s%s", action, object ? " " : "");
	if (object)
		print_escaped(object);
	print_reason(error);
	return EXIT_FAILED;
}

int report_printed(const char *action, int result)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return report_failure(action, "standard output", errno);
	return result;
}

/* The uid of whoever listens at `address`, or -1. */
static long server_uid(const struct address *address)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	long uid = -1;
	int fd = address->fd;

	if (address->kind != ADDRESS_DESCRIPTOR) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -1;
		if (connect(fd, (const struct sockaddr *)&address->name, address->length) < 0) {
			close(fd);
			return -1;
		}
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
		uid = (long)credentials.uid;
	if (fd != address->fd)
		close(fd);
	return uid;
}

static void explain_stranger(const struct address *address)
{
	long uid = server_uid(address);

	fputs("fdbroker: whoever listens there is neither root nor you", stderr);
	if (uid >= 0)
		fprintf(stderr, " (its uid is %ld)", uid);
	if (address->kind == ADDRESS_ABSTRACT)
		fputs("; anyone can take an abstract name, and in a user namespace without root "
		      "nobody can be told apart: " ALTERNATIVES,
			stderr);
	fputc('\n', stderr);
}

static void explain_abstract(int error)
{
	if (error != ECONNREFUSED)
		return;
	fputs("fdbroker: is fdbrokerd running? Nobody listens on that name in this network namespace, "
	      "and abstract names do not cross network namespaces: " ALTERNATIVES "\n",
		stderr);
}

static void explain_pathname(int error)
{
	const char *text = NULL;

	switch (error) {
	case ECONNREFUSED:
		text = "the socket is there, but no broker listens on it: is fdbrokerd running?";
		break;
	case ENOENT:
		text = "no such socket in this mount namespace or root directory: is fdbrokerd running, "
		       "and is the socket's directory mounted here?";
		break;
	case EACCES:
		text = "connecting needs search permission on the directories and write permission on "
		       "the socket: fdbrokerd --mode and --group";
		break;
	case EPROTOTYPE:
		text = "that socket is not of type SOCK_SEQPACKET, so not a broker's";
		break;
	}
	if (text)
		fprintf(stderr, "fdbroker: %s\n", text);
}

static void explain_descriptor(int error)
{
	if (error == EBADF)
		fputs("fdbroker: no such descriptor was inherited: its owner must clear FD_CLOEXEC "
		      "before it executes this program\n",
			stderr);
	else if (error == EINVAL)
		fputs("fdbroker: that descriptor is not a connected socket of type SOCK_SEQPACKET\n",
			stderr);
}

/* A mistake on the command line, or in the environment. */
static int report_bad_address(void)
{
	fputs("fdbroker: an address is @NAME, /PATH or fd:N; a name or path has at most 107 bytes\n",
		stderr);
	return EXIT_USAGE;
}

int report_no_connection(const char *action, const char *address, int error)
{
	struct address parsed;

	if (!address)
		address = secure_getenv("FDBROKER_SOCKET");
	fprintf(stderr, "fdbroker: %s: cannot connect to ", action);
	if (address && address[0] != '\0') {
		fputs(address, stderr);
	} else {
		fputs(FDBROKER_DEFAULT_ABSTRACT " or " FDBROKER_DEFAULT_PATHNAME, stderr);
		/* Only the second can have failed like this. */
		address = error == EACCES ? FDBROKER_DEFAULT_PATHNAME : FDBROKER_DEFAULT_ABSTRACT;
	}
	print_reason(error);

	if (address_parse(address, &parsed) < 0)
		return report_bad_address();
	else if (error == EPERM)
		explain_stranger(&parsed);
	else if (parsed.kind == ADDRESS_ABSTRACT)
		explain_abstract(error);
	else if (parsed.kind == ADDRESS_PATHNAME)
		explain_pathname(error);
	else
		explain_descriptor(error);
	return EXIT_FAILED;
}
