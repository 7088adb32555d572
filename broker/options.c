/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "defaults.h"
#include "fdbroker-protocol.h"
#include "journal.h"
#include "listen.h"
#include "owner.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel's overflow uid, unless somebody has changed it. */
#define UNMAPPED_UID 65534

#define CONNECTS_MAX 1000000

enum {
	OPTION_WORKER = 256,
	OPTION_READY,
	OPTION_MAKER,
	OPTION_RESUME,
	OPTION_RESUME_CHECK,
	OPTION_TIMEOUT,
	OPTION_CONNECTS,
	OPTION_REQUIRE,
	OPTION_LINKS,
	OPTION_GRANTS,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"policy", required_argument, NULL, 'p'},
	{"listen", required_argument, NULL, 'l'},
	{"mode", required_argument, NULL, 'm'},
	{"group", required_argument, NULL, 'g'},
	{"user", required_argument, NULL, 'u'},
	{"log", required_argument, NULL, 'o'},
	{"ready-fd", required_argument, NULL, OPTION_READY},
	{"open-timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"connect-rate", required_argument, NULL, OPTION_CONNECTS},
	{"log-grants", no_argument, NULL, OPTION_GRANTS},
	{"require", required_argument, NULL, OPTION_REQUIRE},
	{"allow-unprotected-hardlinks", no_argument, NULL, OPTION_LINKS},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	/* The supervisor's own, for the processes it executes. */
	{"worker", required_argument, NULL, OPTION_WORKER},
	{"maker", required_argument, NULL, OPTION_MAKER},
	{"resume", required_argument, NULL, OPTION_RESUME},
	{"resume-check", required_argument, NULL, OPTION_RESUME_CHECK},
	{NULL, 0, NULL, 0},
};

static void print_help(void)
{
	printf("Usage: fdbrokerd [OPTION]...\n"
	       "Open files for sandboxed programs, as a policy says, and hand them the descriptors.\n"
	       "\n"
	       "  --policy FILE     who may have what (default: %s)\n"
	       "  --listen ADDRESS  @NAME (abstract), /PATH, netns:/FILE/@NAME (in another network\n"
	       "                    namespace) or fd:N (inherited); may be given up to %d times\n"
	       "                    (default: what $LISTEN_FDS passes, else %s and\n"
	       "                    %s)\n"
	       "  --mode OCTAL      mode of pathname sockets (default: %04o)\n"
	       "  --group NAME|GID  group of pathname sockets\n"
	       "  --user NAME|UID   whom the worker runs as, not root (default: %s)\n"
	       "  --log FILE        append the record to FILE (default: standard error)\n"
	       "  --log journal[:/PATH]\n"
	       "                    send it to the journal, by its socket (default: %s)\n"
	       "  --log-grants      record what is granted too, not only what is denied\n"
	       "  --ready-fd N      write a line feed to the descriptor N and close it when ready\n"
	       "  --open-timeout S  answer what a file system does not answer in S seconds (default: %d)\n"
	       "                    with ETIMEDOUT\n"
	       "  --connect-rate N  let a uid that makes more than N connections a second wait\n"
	       "                    (default: %d)\n"
	       "  --require views   do not start where descriptors could do more than their grant\n"
	       "  --allow-unprotected-hardlinks\n"
	       "                    start although fs.protected_hardlinks is 0\n"
	       "  --help, --version\n"
	       "\n"
	       "Runs in the foreground. SIGTERM ends it, SIGUSR1 opens the record's FILE anew, SIGUSR2\n"
	       "executes the program anew, and no connection is lost. The record is one line of JSON an event.\n"
	       "Exit status: 0 ended, 1 the policy or a resource is at fault, 2 the command line.\n"
	       "Write a policy: fdbroker.policy(5). Check it first: fdbroker check --policy FILE.\n",
		OPTIONS_POLICY_DEFAULT, OPTIONS_ADDRESSES_MAX, FDBROKER_DEFAULT_ABSTRACT,
		FDBROKER_DEFAULT_PATHNAME, LISTEN_MODE_DEFAULT, OPTIONS_USER_DEFAULT,
		JOURNAL_SOCKET, OPTIONS_OPEN_TIMEOUT_DEFAULT, DEFAULT_CONNECTS);
}

/* A whole number of `base` up to `most`. */
static bool read_number(const char *text, int base, unsigned long most, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoul(text, &end, base);
	return !errno && !*end && *number <= most;
}

static int find_group(const char *name, gid_t *gid)
{
	unsigned long number;
	const struct group *group;

	if (read_number(name, 10, UINT_MAX - 1, &number)) {
		*gid = (gid_t)number;
		return -1;
	}
	group = getgrnam(name);
	if (!group) {
		fprintf(stderr, "fdbrokerd: --group %s: there is no such group\n", name);
		return 1;
	}
	*gid = group->gr_gid;
	return -1;
}

/* Whom the worker becomes. A number needs no entry in the user data base: its group is the same
 * one. */
static int find_user(const char *name, struct options *options)
{
	unsigned long number;
	const struct passwd *user;

	if (read_number(name, 10, UINT_MAX - 1, &number)) {
		options->uid = (uid_t)number;
		user = getpwuid(options->uid);
		options->gid = user ? user->pw_gid : (gid_t)number;
	} else {
		user = getpwnam(name);
		if (!user) {
			fprintf(stderr,
				"fdbrokerd: there is no user %s for the worker to run as: create it "
				"(useradd --system --no-create-home %s) or name another with --user\n",
				name, name);
			return 1;
		}
		options->uid = user->pw_uid;
		options->gid = user->pw_gid;
	}
	if (options->uid == UNMAPPED_UID) {
		fprintf(stderr,
			"fdbrokerd: --user %s: that uid stands for everybody who is not mapped; name a "
			"user of its own\n",
			name);
		return 2;
	}
	if (options->uid == 0) {
		fprintf(stderr,
			"fdbrokerd: --user %s: the worker must not be root; name a user of its own\n",
			name);
		return 2;
	}
	return -1;
}

static int add_address(const char *address, struct options *options)
{
	const char *wrong = listen_check(address);

	if (!wrong && options->address_count == OPTIONS_ADDRESSES_MAX)
		wrong = "too many addresses";
	for (unsigned int i = 0; !wrong && i < options->address_count; i++)
		if (strcmp(options->addresses[i], address) == 0)
			wrong = "the address is given twice";
	if (wrong) {
		fprintf(stderr, "fdbrokerd: --listen %s: %s\n", address, wrong);
		return 2;
	}
	options->addresses[options->address_count++] = address;
	return -1;
}

static int usage_error(const char *what, const char *wrong)
{
	fprintf(stderr, "fdbrokerd: %s: %s; see fdbrokerd --help\n", what, wrong);
	return 2;
}

static int read_option(int option, const char **user, struct options *options)
{
	unsigned long number;

	switch (option) {
	case 'p':
		if (!*optarg)
			return usage_error("--policy", "the name is empty");
		options->policy = optarg;
		return -1;
	case 'l':
		return add_address(optarg, options);
	case 'm':
		if (!read_number(optarg, 8, 0777, &number))
			return usage_error(optarg, "--mode takes an octal number up to 0777");
		options->mode = (mode_t)number;
		return -1;
	case 'g':
		return find_group(optarg, &options->group);
	case 'u':
		*user = optarg;
		return -1;
	case 'o':
		if (!*optarg || strcmp(optarg, "journal:") == 0)
			return usage_error("--log", "the name is empty");
		options->log = optarg;
		return -1;
	case OPTION_READY:
		if (!read_number(optarg, 10, INT_MAX, &number) || number <= STDERR_FILENO)
			return usage_error(optarg, "--ready-fd takes a descriptor above 2");
		options->ready = (int)number;
		return -1;
	case OPTION_WORKER:
		if (!read_number(optarg, 10, INT_MAX, &number))
			return usage_error(optarg, "--worker takes a descriptor");
		options->worker = (int)number;
		return -1;
	case OPTION_MAKER:
		if (!read_number(optarg, 10, INT_MAX, &number))
			return usage_error(optarg, "--maker takes a descriptor");
		options->maker = (int)number;
		return -1;
	case OPTION_RESUME:
	case OPTION_RESUME_CHECK:
		if (!read_number(optarg, 10, INT_MAX, &number))
			return usage_error(optarg, "--resume takes a descriptor");
		*(option == OPTION_RESUME ? &options->resume : &options->resume_check) =
			(int)number;
		return -1;
	case OPTION_TIMEOUT:
		if (!read_number(optarg, 10, 86400, &number) || number == 0)
			return usage_error(optarg, "--open-timeout takes seconds, 1 to 86400");
		options->open_timeout = (int)number * 1000;
		return -1;
	case OPTION_CONNECTS:
		if (!read_number(optarg, 10, CONNECTS_MAX, &number) || number == 0)
			return usage_error(
				optarg, "--connect-rate takes connections a second, 1 to 1000000");
		options->connects = (uint32_t)number;
		return -1;
	case OPTION_REQUIRE:
		if (strcmp(optarg, "views") != 0)
			return usage_error(optarg, "--require takes views");
		options->require_views = true;
		return -1;
	case OPTION_GRANTS:
		options->log_grants = true;
		return -1;
	case OPTION_LINKS:
		options->unprotected_links = true;
		return -1;
	case OPTION_HELP:
		print_help();
		return 0;
	case OPTION_VERSION:
		printf("fdbrokerd %s\n", FDBROKER_VERSION);
		return 0;
	}
	return 2;
}

int options_read(int argc, char **argv, struct options *options)
{
	const char *user = NULL;
	int option, status;

	*options = (struct options){
		.policy = OPTIONS_POLICY_DEFAULT,
		.mode = LISTEN_MODE_DEFAULT,
		.group = LISTEN_GROUP_KEEP,
		.ready = -1,
		.open_timeout = OPTIONS_OPEN_TIMEOUT_DEFAULT * 1000,
		.connects = DEFAULT_CONNECTS,
		.worker = -1,
		.maker = -1,
		.resume = -1,
		.resume_check = -1,
		.switch_user = geteuid() == 0,
	};
	opterr = 0;
	/* The leading ':' tells a missing argument from an unknown option. */
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (option == ':')
			return usage_error(argv[optind - 1], "the option needs an argument");
		if (option == '?')
			return usage_error(argv[optind - 1], "unknown option");
		status = read_option(option, &user, options);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return usage_error(argv[optind], "unexpected argument");
	if (options->address_count == 0) {
		options->addresses_default = true;
		options->addresses[options->address_count++] = FDBROKER_DEFAULT_ABSTRACT;
		options->addresses[options->address_count++] = FDBROKER_DEFAULT_PATHNAME;
	}
	options->alone = options->switch_user && owner_alone();
	if (options->alone && !user) {
		options->uid = geteuid();
		options->gid = getegid();
		return -1;
	}
	if (options->switch_user)
		return find_user(user ? user : OPTIONS_USER_DEFAULT, options);
	if (user)
		return usage_error("--user", "only root can run the worker as somebody else");
	return -1;
}
