/* SPDX-License-Identifier: MIT */
#include "home.h"

#include "empty.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bytes. */
#define STACK_SIZE 65536

struct homes {
	int (*begin)(void);
	int proc;		/* the thread has no path to it */
	int base;		/* the namespace that is copied */
	pthread_mutex_t giving; /* one at a time */
	pthread_mutex_t mutex;	/* of what follows */
	pthread_cond_t asked, answered;
	int tree;   /* to be attached, or -1 */
	bool ready; /* there is an answer: */
	int answer;
	bool ended;
};

/* A namespace with nothing in it but an empty root. 0 or a negative errno. */
static int enter_nothing(void)
{
	/*
	 * Until they are gone from here, what is unmounted elsewhere shall be unmounted here too: so no private ones.
	 */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	int empty = empty_mount(), error = 0;
	if (empty < 0)
		return empty;
	if (move_mount(empty, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		fchdir(empty) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
		umount2(".", MNT_DETACH) < 0)
		error = -errno;
	close(empty);
	return error;
}

/*
 * Opens what /proc has under that name about this thread: a descriptor, or a negative errno. By the thread's own
 * number and not as thread-self, which is below the directory of the process: whoever reaps the process removes
 * that from memory while the threads, as they end, remove theirs, and spins in the kernel until they are through.
 * That was seconds in which the supervisor did nothing else.
 */
static int open_own(const struct homes *homes, const char *name)
{
	char self[64], path[128];
	ssize_t length = readlinkat(homes->proc, "thread-self", self, sizeof(self) - 1);

	if (length < 0)
		return -errno;
	self[length] = '\0';
	const char *slash = strrchr(self, '/');
	if (!slash)
		return -EPROTO;
	snprintf(path, sizeof(path), "%s/%s", slash + 1, name);
	int file = openat(homes->proc, path, O_RDONLY | O_CLOEXEC);
	return file < 0 ? -errno : file;
}

/* Whether the thread's namespace holds the empty root and one mount, and so none beneath that. */
static bool holds_one(const struct homes *homes)
{
	int file = open_own(homes, "mountinfo");
	char *text = file < 0 ? NULL : mounts_read(file);
	bool one = text && mounts_count(text) == 2;

	free(text);
	if (file >= 0)
		close(file);
	return one;
}

static int attach(const struct homes *homes, int tree)
{
	struct rlimit files;

	if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	if (!holds_one(homes))
		return -EBUSY;
	int home = open_own(homes, "ns/mnt");
	/* The lowest number that is free is given out. */
	if (home >= 0 && getrlimit(RLIMIT_NOFILE, &files) == 0 &&
		(rlim_t)home >= files.rlim_cur / 2) {
		close(home);
		return -EMFILE;
	}
	return home;
}

static int make_home(struct homes *homes, int tree)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	int home = attach(homes, tree);
	/* Nobody may stay in there. */
	if (setns(homes->base, CLONE_NEWNS) < 0) {
		homes->ended = true;
		if (home >= 0)
			close(home);
		return -EIO;
	}
	return home;
}

static void answer(struct homes *homes, int what)
{
	homes->answer = what;
	homes->ready = true;
	pthread_cond_signal(&homes->answered);
}

static void *live(void *context)
{
	struct homes *homes = context;
	int error = homes->begin ? homes->begin() : 0;

	if (!error)
		error = enter_nothing();
	pthread_mutex_lock(&homes->mutex);
	homes->base = error ? error : open_own(homes, "ns/mnt");
	homes->ended = homes->base < 0;
	answer(homes, homes->base);
	while (!homes->ended) {
		while (homes->tree < 0)
			pthread_cond_wait(&homes->asked, &homes->mutex);
		int home = make_home(homes, homes->tree);
		homes->tree = -1;
		answer(homes, home);
	}
	pthread_mutex_unlock(&homes->mutex);
	return NULL;
}

/* Waits for the thread's answer, with the lock. */
static int wait_for(struct homes *homes)
{
	while (!homes->ready)
		pthread_cond_wait(&homes->answered, &homes->mutex);
	homes->ready = false;
	return homes->answer;
}

static bool start_thread(void *(*run)(void *context), void *context)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	bool started = pthread_create(&thread, &attributes, run, context) == 0;
	pthread_attr_destroy(&attributes);
	return started;
}

struct homes *home_start(int (*begin)(void))
{
	struct homes *homes = calloc(1, sizeof(*homes));
	int error = -EAGAIN;

	if (!homes)
		return NULL;
	homes->tree = -1;
	homes->begin = begin;
	homes->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pthread_mutex_init(&homes->giving, NULL);
	pthread_mutex_init(&homes->mutex, NULL);
	pthread_cond_init(&homes->asked, NULL);
	pthread_cond_init(&homes->answered, NULL);
	if (homes->proc >= 0 && start_thread(live, homes)) {
		pthread_mutex_lock(&homes->mutex);
		error = wait_for(homes);
		pthread_mutex_unlock(&homes->mutex);
	}
	if (error >= 0)
		return homes;
	if (homes->proc >= 0)
		close(homes->proc);
	free(homes);
	return NULL;
}

int home_give(struct homes *homes, int tree)
{
	pthread_mutex_lock(&homes->giving);
	pthread_mutex_lock(&homes->mutex);
	int home = -EIO;
	if (!homes->ended) {
		homes->tree = tree;
		pthread_cond_signal(&homes->asked);
		home = wait_for(homes);
	}
	pthread_mutex_unlock(&homes->mutex);
	pthread_mutex_unlock(&homes->giving);
	return home;
}

struct closing {
	size_t count;
	int *list;
};

static void *close_all(void *context)
{
	struct closing *closing = context;

	for (size_t i = 0; i < closing->count; i++)
		close(closing->list[i]);
	free(closing->list);
	free(closing);
	return NULL;
}

void home_close(int *list, size_t count)
{
	struct closing *closing = count ? malloc(sizeof(*closing)) : NULL;

	if (closing) {
		*closing = (struct closing){.count = count, .list = list};
		if (!start_thread(close_all, closing))
			close_all(closing);
		return;
	}
	for (size_t i = 0; i < count; i++)
		close(list[i]);
	free(list);
}
