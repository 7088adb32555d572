// SPDX-License-Identifier: MIT
/* place.c: where the brokers of a test listen. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake.h"
#include "fdbroker.h"

char place_directory[] = "/tmp/fdb-test.XXXXXX";
char place_abstract[64], place_pathname[64];

int place_make(void **state)
{
	(void)state;
	if (!mkdtemp(place_directory) || chmod(place_directory, 0755) < 0)
		return -1;
	snprintf(place_abstract, sizeof(place_abstract), "@fdb-test-%d", (int)getpid());
	snprintf(place_pathname, sizeof(place_pathname), "%s/socket", place_directory);
	return 0;
}

int place_remove(void **state)
{
	(void)state;
	unlink(place_pathname);
	return rmdir(place_directory);
}

int place_try(const char *address)
{
	struct fdbroker *broker = fdbroker_connect(address);
	int fd, error;

	if (!broker)
		return errno;
	fd = fdbroker_open(broker, "/x", O_RDONLY);
	error = fd < 0 ? errno : has_content(fd, "/x") ? 0 : EIO;
	if (fd >= 0)
		close(fd);
	fdbroker_disconnect(broker);
	return error;
}
