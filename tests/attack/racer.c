/* SPDX-License-Identifier: MIT */
/*
 * racer SOCKET DIRECTORY OPERATION ROUNDS: asks for two paths over and over while two processes exchange what is
 * there for symbolic links to what the policy denies. In DIRECTORY (the test prepares it):
 *
 *	d/x/f, d/x/l	what is granted; d/x changes places with d/y, a link to secret
 *	d/leaf		a file that changes places with d/other, a link to secret/f
 *	d/secret/f, /l	what is denied
 *
 * Whatever is answered must be about what is granted: a file that says "good"; and whatever is changed must be what
 * is granted: the secret is looked at after each round. Prints how often each answer came; exits with 1 as soon as one
 * is about the secret.
 */
#include "fdbroker-protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[FDBROKER_REPLY_MAX];
static unsigned long answers[4096];
static struct stat secret;
/* What d, d/x and d/secret are, wherever the names lead by now. */
static int top_directory, granted_directory, secret_directory;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void bad(const char *what)
{
	printf("%s\n", what);
	exit(1);
}

static pid_t race(int directory, const char *one, const char *other)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		/* The race may be lost, and over, already. */
		if (getppid() != parent)
			_exit(0);
		for (;;)
			renameat2(directory, one, directory, other, RENAME_EXCHANGE);
	}
	return pid;
}

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connection < 0 || connect(connection, (void *)&address, sizeof(address)) < 0)
		die("connect");
	return connection;
}

/* Asks, and returns the errno; *length is that of the data in `buffer`, *file what came. */
static unsigned int ask_with(int connection, uint16_t operation, uint64_t flags, uint32_t mode,
	const char *path, const char *extra, size_t *length, int *file)
{
	struct fdbroker_request request = {
		.version = 1,
		.operation = operation,
		.id = 1,
		.flags = flags,
		.mode = mode,
		.path_length = (uint16_t)strlen(path),
		.extra_length = (uint16_t)strlen(extra),
	};
	struct iovec out[] = {{&request, sizeof(request)}, {(void *)(uintptr_t)path, strlen(path)},
		{(void *)(uintptr_t)extra, strlen(extra)}};
	struct msghdr sent = {.msg_iov = out, .msg_iovlen = 3};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct fdbroker_reply reply;
	struct iovec in[] = {{&reply, sizeof(reply)}, {buffer, sizeof(buffer) - sizeof(reply)}};
	struct msghdr got = {.msg_iov = in,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	if (sendmsg(connection, &sent, 0) < 0 ||
		recvmsg(connection, &got, MSG_CMSG_CLOEXEC) < (ssize_t)sizeof(reply))
		die("the broker");
	*file = -1;
	if (got.msg_controllen)
		memcpy(file, CMSG_DATA(CMSG_FIRSTHDR(&got)), sizeof(int));
	*length = reply.data_length;
	return reply.error;
}

static unsigned int ask(int connection, uint16_t operation, uint64_t flags, uint32_t mode,
	const char *path, size_t *length, int *file)
{
	return ask_with(connection, operation, flags, mode, path, "", length, file);
}

/* What is open must be what is granted. */
static void check_file(int file)
{
	char text[16] = "";

	if (read(file, text, sizeof(text) - 1) < 0 || strncmp(text, "good", 4) != 0)
		bad("a file of the secret was opened");
	close(file);
}

static void check_open(int connection, const char *path)
{
	size_t length;
	int file;
	unsigned int error = ask(connection, FDBROKER_OPEN, O_RDONLY, 0, path, &length, &file);

	answers[error]++;
	if (!error)
		check_file(file);
}

static void check_create(int connection, const char *directory, unsigned long round)
{
	char path[4096];
	size_t length;
	int file;

	snprintf(path, sizeof(path), "%s/x/n%lu", directory, round % 64);
	unsigned int error =
		ask(connection, FDBROKER_OPEN, O_CREAT | O_RDWR, 0600, path, &length, &file);
	answers[error]++;
	if (!error)
		close(file);
}

static void check_stat(int connection, const char *path)
{
	struct statx status;
	size_t length;
	int file;
	unsigned int error = ask(connection, FDBROKER_STAT, 0, 0, path, &length, &file);

	answers[error]++;
	if (error)
		return;
	memcpy(&status, buffer, sizeof(status));
	if (length != sizeof(status) || status.stx_ino == secret.st_ino)
		bad("a file of the secret was told of");
}

static void check_readlink(int connection, const char *path)
{
	size_t length;
	int file;
	unsigned int error = ask(connection, FDBROKER_READLINK, 0, 0, path, &length, &file);

	answers[error]++;
	/* Of d/leaf, when it is the link, its own text; it lies in what is granted. */
	if (!error && !(length == 4 && memcmp(buffer, "good", 4) == 0) &&
		!(length == 8 && memcmp(buffer, "secret/f", 8) == 0))
		bad("a link of the secret was read");
}

static void check_tree(int connection, const char *path)
{
	size_t length;
	int tree;
	unsigned int error = ask(connection, FDBROKER_TREE, O_RDONLY, 0, path, &length, &tree);

	answers[error]++;
	if (error)
		return;
	int file = openat(tree, "f", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		bad("a tree that is not the granted one was opened");
	check_file(file);
	close(tree);
}

/* ---- changing --------------------------------------------------------------------------------- */

/* Asks for a change, and looks whether it was one of the secret: two files, of one name each, as they were. */
static void change(
	int connection, uint16_t operation, uint32_t mode, const char *path, const char *extra)
{
	struct stat status;
	size_t length;
	int file;

	answers[ask_with(connection, operation, 0, mode, path, extra, &length, &file)]++;
	if (fstatat(secret_directory, "f", &status, AT_SYMLINK_NOFOLLOW) < 0 ||
		status.st_ino != secret.st_ino || status.st_nlink != 1 ||
		status.st_mode != secret.st_mode)
		bad("the secret was changed");
	if (fstatat(secret_directory, "new", &status, AT_SYMLINK_NOFOLLOW) == 0)
		bad("something was made beside the secret");
}

/* Sees to it that there is something to work on. */
static void make_file(int directory, const char *name)
{
	int file = openat(directory, name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (file < 0 || write(file, "good", 4) != 4)
		die(name);
	close(file);
}

static void check_unlink(int connection, const char *directory, unsigned long round)
{
	char path[4096];

	(void)round;
	snprintf(path, sizeof(path), "%s/x/f", directory);
	make_file(granted_directory, "f");
	change(connection, FDBROKER_UNLINK, 0, path, "");
}

static void check_mkdir(int connection, const char *directory, unsigned long round)
{
	char path[4096];

	(void)round;
	snprintf(path, sizeof(path), "%s/x/new", directory);
	change(connection, FDBROKER_MKDIR, 0700, path, "");
	unlinkat(granted_directory, "new", AT_REMOVEDIR);
}

/* Out of the directory that is exchanged, and into it. */
static void check_rename(int connection, const char *directory, unsigned long round)
{
	char inside[4096], outside[4096];

	snprintf(inside, sizeof(inside), "%s/x/%s", directory, round % 4 < 2 ? "f" : "new");
	snprintf(outside, sizeof(outside), "%s/out", directory);
	make_file(granted_directory, round % 4 < 2 ? "f" : "new");
	make_file(top_directory, "out");
	if (round % 2)
		change(connection, FDBROKER_RENAME, 0, inside, outside);
	else
		change(connection, FDBROKER_RENAME, 0, outside, inside);
}

/* Out of the directory, into it, and of the file that changes places with a link. */
static void check_link(int connection, const char *directory, unsigned long round)
{
	char inside[4096], outside[4096];

	snprintf(inside, sizeof(inside), "%s/%s", directory,
		round % 3 == 0	 ? "x/f"
		: round % 3 == 1 ? "leaf"
				 : "x/new");
	snprintf(outside, sizeof(outside), "%s/out", directory);
	if (round % 3 == 2) {
		make_file(top_directory, "out");
		unlinkat(granted_directory, "new", 0);
		change(connection, FDBROKER_LINK, 0, outside, inside);
	} else {
		unlinkat(top_directory, "out", 0);
		change(connection, FDBROKER_LINK, 0, inside, outside);
	}
}

static void check_chmod(int connection, const char *directory, unsigned long round)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, round % 2 ? "x/f" : "leaf");
	change(connection, FDBROKER_CHMOD, 0604, path, "");
}

static void change_round(
	int connection, const char *operation, const char *directory, unsigned long round)
{
	static const struct {
		const char *name;
		void (*run)(int connection, const char *directory, unsigned long round);
	} table[] = {
		{"unlink", check_unlink},
		{"mkdir", check_mkdir},
		{"rename", check_rename},
		{"link", check_link},
		{"chmod", check_chmod},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(operation, table[i].name) == 0) {
			table[i].run(connection, directory, round);
			return;
		}
	fprintf(stderr, "no such operation\n");
	exit(2);
}

int main(int argc, char **argv)
{
	char directory[2048], parent[4096], leaf[4096], link[4096], tree[4096];

	if (argc != 5)
		return 2;
	const char *operation = argv[3];
	unsigned long rounds = strtoul(argv[4], NULL, 10);
	snprintf(directory, sizeof(directory), "%s/d", argv[2]);
	snprintf(parent, sizeof(parent), "%s/x/f", directory);
	snprintf(link, sizeof(link), "%s/x/l", directory);
	snprintf(leaf, sizeof(leaf), "%s/leaf", directory);
	snprintf(tree, sizeof(tree), "%s/x", directory);
	int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	top_directory = at;
	granted_directory = openat(at, "x", O_PATH | O_DIRECTORY | O_CLOEXEC);
	secret_directory = openat(at, "secret", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (granted_directory < 0 || fstatat(secret_directory, "f", &secret, 0) < 0)
		die(directory);
	int connection = dial(argv[1]);
	/* A racer takes a processor: the second one runs for those alone who ask for what it exchanges. */
	bool leaves = strcmp(operation, "unlink") != 0 && strcmp(operation, "mkdir") != 0 &&
		      strcmp(operation, "rename") != 0 && strcmp(operation, "tree") != 0 &&
		      strcmp(operation, "create") != 0;
	pid_t racers[] = {race(at, "x", "y"), leaves ? race(at, "leaf", "other") : -1};

	for (unsigned long i = 0; i < rounds; i++) {
		if (strcmp(operation, "open") == 0)
			check_open(connection, i % 2 ? parent : leaf);
		else if (strcmp(operation, "create") == 0)
			check_create(connection, directory, i);
		else if (strcmp(operation, "stat") == 0)
			check_stat(connection, i % 2 ? parent : leaf);
		else if (strcmp(operation, "readlink") == 0)
			check_readlink(connection, i % 2 ? link : leaf);
		else if (strcmp(operation, "tree") == 0)
			check_tree(connection, tree);
		else
			change_round(connection, operation, directory, i);
	}
	for (int i = 0; i < 2; i++) {
		if (racers[i] < 0)
			continue;
		kill(racers[i], SIGKILL);
		waitpid(racers[i], NULL, 0);
	}
	for (unsigned int i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i])
			printf("%s %lu\n", i ? strerrorname_np((int)i) : "OK", answers[i]);
	return 0;
}
