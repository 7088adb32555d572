/* SPDX-License-Identifier: MIT */
/*
 * fdbrokerd: reads the command line and becomes the supervisor, or a worker or a maker that the supervisor
 * executed.
 */
#include "audit.h"
#include "destination.h"
#include "inherit.h"
#include "maker.h"
#include "options.h"
#include "resume.h"
#include "supervisor.h"
#include "worker.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The descriptor to write the record to, or -1 with one line on standard error. */
static int open_log(const char *destination)
{
	int log = destination_open(destination);

	if (log < 0)
		fprintf(stderr, "fdbrokerd: %s%s: %s (%s)\n", destination ? "--log " : "",
			destination_name(destination), strerror(-log), strerrorname_np(-log));
	else if (destination_is_journal(destination))
		audit_use_journal(log);
	return log;
}

/* A descriptor 0, 1 or 2 that is closed would become one of ours, and be written to as standard
 * error. */
static int open_standard_descriptors(void)
{
	int file;

	do {
		file = open("/dev/null", O_RDWR);
		if (file < 0)
			return -1;
	} while (file <= STDERR_FILENO);
	close(file);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct inherited inherited = {0};
	struct rlimit files;
	int status, log;

	if (open_standard_descriptors() < 0)
		return 1;
	/* What whoever started the daemon left open must not reach the worker. */
	close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	status = options_read(argc, argv, &options);
	if (status >= 0)
		return status;
	/* What has been inherited then is from the daemon itself. */
	bool own = options.worker >= 0 || options.maker >= 0 || options.resume >= 0 ||
		   options.resume_check >= 0;
	/* Before anything is opened that could be mistaken for it. */
	status = own ? 0 : inherit_read(&options, &inherited);
	if (status)
		return status;
	signal(SIGPIPE, SIG_IGN);
	/* Each view and each connection is a descriptor. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (options.maker >= 0)
		return maker_run(&options, options.maker);
	/* The answer is the status, and nothing that happens on the way out may change it. */
	if (options.resume_check >= 0)
		_exit(resume_check(options.resume_check));
	log = options.resume >= 0 ? -1 : open_log(options.log);
	if (log < 0 && options.resume < 0)
		return 1;
	if (options.worker >= 0)
		return worker_run(&options, log);
	return supervisor_run(&options, &inherited, argc, argv, log);
}
