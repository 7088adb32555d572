/* SPDX-License-Identifier: MIT */
/*
 * system.c: see system.h.
 *
 * The way to a file is walked by hand, descriptor by descriptor, and each directory is checked
 * before anything in it is looked at: so there is no moment between the check of a name and its
 * use, and the directories behind a symbolic link are checked like the others.
 */
#include "system.h"

#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40u

static char reason_buffer[PATH_MAX + 256];

struct walk {
	char left[2 * PATH_MAX]; /* of the path, still to go */
	char done[PATH_MAX];	 /* the directory that was reached, for messages */
	unsigned int links;
	int directory;
};

#define say(...) ((void)snprintf(reason_buffer, sizeof(reason_buffer), __VA_ARGS__))

static bool counts(const struct stat *status, enum owner_of what, const char *name)
{
	return owner_counts(status, what, name, reason_buffer, sizeof(reason_buffer));
}

static int enter(struct walk *walk, const char *name)
{
	int directory =
		openat(walk->directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = errno;
	struct stat status;
	size_t length = strlen(walk->done);

	if (directory < 0)
		return -error;
	close(walk->directory);
	walk->directory = directory;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(walk->done, '/');

		if (slash)
			*slash = '\0';
	} else {
		snprintf(walk->done + length, sizeof(walk->done) - length, "/%s", name);
	}
	if (fstat(directory, &status) < 0)
		return -errno;
	return counts(&status, OWNER_WAY, walk->done) ? 0 : -EPERM;
}

/* Back to the root, for an absolute path. */
static int enter_root(struct walk *walk)
{
	struct stat status;

	if (walk->directory >= 0)
		close(walk->directory);
	walk->done[0] = '\0';
	walk->directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (walk->directory < 0 || fstat(walk->directory, &status) < 0)
		return -errno;
	return counts(&status, OWNER_WAY, "/") ? 0 : -EPERM;
}

/* Puts a link's text before what is left. */
static int follow(struct walk *walk, const char *name)
{
	char target[2 * PATH_MAX];
	ssize_t length = readlinkat(walk->directory, name, target, PATH_MAX - 1);

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	if ((size_t)length + strlen(walk->left) + 2 > sizeof(target))
		return -ENAMETOOLONG;
	target[length] = '/';
	strcpy(target + length + 1, walk->left);
	/* The slash in between is one too many where nothing is left. */
	if (!*walk->left)
		target[length] = '\0';
	memcpy(walk->left, target, sizeof(target));
	return target[0] == '/' ? enter_root(walk) : 0;
}

/* Takes the next name off what is left; false where there is none. */
static bool next_name(struct walk *walk, char name[NAME_MAX + 1], int *status)
{
	size_t begin = strspn(walk->left, "/"), length = strcspn(walk->left + begin, "/");

	if (length == 0)
		return false;
	if (length > NAME_MAX) {
		*status = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, walk->left + begin, length);
	name[length] = '\0';
	memmove(walk->left, walk->left + begin + length, strlen(walk->left + begin + length) + 1);
	return true;
}

/* Goes to the beginning of the way. */
static int walk_start(struct walk *walk, const char *path)
{
	int error = enter_root(walk);

	if (error)
		return error;
	if (path[0] != '/') {
		if (!getcwd(walk->left, PATH_MAX))
			return -errno;
		strcat(walk->left, "/");
	}
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcat(walk->left, path);
	return 0;
}

/* Of the directory that the file, or those that a glob finds, are in. 0 or a negative errno. */
static int check_holder(const struct walk *walk)
{
	struct stat status;

	if (fstat(walk->directory, &status) < 0)
		return -errno;
	return counts(&status, OWNER_HOLDER, *walk->done ? walk->done : "/") ? 0 : -EPERM;
}

/*
 * Goes to the end of the way. Returns the file there, opened; -EISDIR where it is a directory,
 * which walk->directory then is.
 */
static int walk_open(struct walk *walk, const char *path)
{
	char name[NAME_MAX + 1];
	struct stat status;
	int error = walk_start(walk, path);

	while (error == 0 && next_name(walk, name, &error)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (fstatat(walk->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (S_ISLNK(status.st_mode)) {
			if (!counts(&status, OWNER_LINK, name))
				return -EPERM;
			error = follow(walk, name);
		} else if (!S_ISDIR(status.st_mode) && !walk->left[strspn(walk->left, "/")]) {
			int file;

			error = check_holder(walk);
			if (error)
				return error;
			file = openat(walk->directory, name,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
			return file < 0 ? -errno : file;
		} else {
			error = enter(walk, name);
		}
	}
	return error ? error : -EISDIR;
}

static int read_all(int file, char **text, size_t *length)
{
	size_t capacity = 65536, used = 0;
	char *bytes = malloc(capacity);

	while (bytes) {
		ssize_t count = read(file, bytes + used, capacity - used);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			int error = errno;

			free(bytes);
			return -error;
		}
		if (count == 0) {
			*text = bytes;
			*length = used;
			return 0;
		}
		used += (size_t)count;
		if (used > POLICY_FILE_MAX) {
			free(bytes);
			return -EFBIG;
		}
		if (used == capacity) {
			char *grown = realloc(bytes, capacity * 2);

			if (!grown)
				free(bytes);
			bytes = grown;
			capacity *= 2;
		}
	}
	return -ENOMEM;
}

/* Which file was checked last. */
static uint64_t checked[2];

static int check_file(int file)
{
	struct stat status;

	if (fstat(file, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode)) {
		say("is not a regular file");
		return -EINVAL;
	}
	checked[0] = status.st_dev;
	checked[1] = status.st_ino;
	return counts(&status, OWNER_FILE, "") ? 0 : -EPERM;
}

static void system_last_file(void *context, uint64_t id[2])
{
	(void)context;
	memcpy(id, checked, sizeof(checked));
}

static int system_read_file(
	void *context, const char *path, char **text, size_t *length, const char **reason)
{
	struct walk walk = {.directory = -1};
	int file, status;

	(void)context;
	reason_buffer[0] = '\0';
	file = walk_open(&walk, path);
	status = file < 0 ? file : check_file(file);
	if (status == 0)
		status = read_all(file, text, length);
	if (file >= 0)
		close(file);
	if (walk.directory >= 0)
		close(walk.directory);
	if (status && !reason_buffer[0]) {
		switch (status) {
		case -ENOENT:
			say("does not exist");
			break;
		case -EISDIR:
			say("is a directory, not a file");
			break;
		case -EACCES:
			say("cannot be read by uid %u: permission denied", (unsigned int)geteuid());
			break;
		case -EFBIG:
			say("is larger than %u MiB", POLICY_FILE_MAX >> 20);
			break;
		default:
			say("cannot be read: %s", strerror(-status));
			break;
		}
	}
	if (status)
		*reason = reason_buffer;
	return status;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The directory before the first wildcard of a pattern, unescaped. */
static bool literal_directory(const char *pattern, char directory[PATH_MAX])
{
	size_t length = 0, used = 0;

	for (size_t i = 0; pattern[i] && !strchr("*?[", pattern[i]); i++) {
		if (pattern[i] == '\\' && pattern[i + 1])
			i++;
		if (used + 1 >= PATH_MAX)
			return false;
		directory[used++] = pattern[i];
		if (pattern[i] == '/')
			length = used;
	}
	directory[length] = '\0';
	return true;
}

/*
 * Nobody else must be able to put a file where a glob finds it, or take one away; and a directory
 * that is not there is a slip of the pen, by which all that was to be read there would be missing.
 */
static int check_glob(const char *pattern, const char **reason)
{
	struct walk walk = {.directory = -1};
	char directory[PATH_MAX];
	int status;

	if (!literal_directory(pattern, directory))
		return -ENAMETOOLONG;
	reason_buffer[0] = '\0';
	status = walk_open(&walk, *directory ? directory : ".");
	if (status >= 0) {
		close(status);
		status = -ENOTDIR;
	} else if (status == -EISDIR && check_holder(&walk)) {
		status = -EPERM;
	}
	if (walk.directory >= 0)
		close(walk.directory);
	if (status == -EISDIR)
		return 0;
	if (status == -ENOENT)
		say("is in a directory %s that does not exist", directory);
	else if (status == -ENOTDIR)
		say("is in %s, which is no directory", directory);
	if (reason_buffer[0])
		*reason = reason_buffer;
	return status;
}

static int system_glob(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	glob_t found = {0};
	int status = check_glob(pattern, reason);

	(void)context;
	*paths = NULL;
	*count = 0;
	if (status)
		return status;
	status = glob(pattern, GLOB_NOSORT | GLOB_ERR, NULL, &found);
	if (status == GLOB_NOMATCH || (status == 0 && found.gl_pathc == 0)) {
		globfree(&found);
		return 0;
	}
	if (status) {
		globfree(&found);
		return status == GLOB_NOSPACE ? -ENOMEM : errno == ENOENT ? 0 : -EACCES;
	}
	*paths = calloc(found.gl_pathc, sizeof(**paths));
	for (size_t i = 0; *paths && i < found.gl_pathc; i++) {
		(*paths)[i] = strdup(found.gl_pathv[i]);
		if (!(*paths)[i])
			break;
		++*count;
	}
	if (!*paths || *count < found.gl_pathc) {
		globfree(&found);
		return -ENOMEM;
	}
	globfree(&found);
	qsort(*paths, *count, sizeof(**paths), compare_paths);
	return 0;
}

/* One static buffer each: the answer lives until the next call. */
static char user_buffer[65536], group_buffer[1u << 20];

/* The data base says "no such entry" in several ways (getpwnam_r(3)). */
static int lookup_error(int error)
{
	switch (error) {
	case 0:
	case ENOENT:
	case ESRCH:
		return -ENOENT;
	default:
		return -error;
	}
}

static int system_user_by_name(void *context, const char *name, struct policy_user *user)
{
	struct passwd entry, *found = NULL;
	int error = getpwnam_r(name, &entry, user_buffer, sizeof(user_buffer), &found);

	(void)context;
	if (!found)
		return lookup_error(error);
	*user = (struct policy_user){entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
	return 0;
}

static int system_user_by_uid(void *context, uid_t uid, struct policy_user *user)
{
	struct passwd entry, *found = NULL;
	int error = getpwuid_r(uid, &entry, user_buffer, sizeof(user_buffer), &found);

	(void)context;
	if (!found)
		return lookup_error(error);
	*user = (struct policy_user){entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
	return 0;
}

static int system_group_by_name(void *context, const char *name, gid_t *gid)
{
	struct group entry, *found = NULL;
	int error = getgrnam_r(name, &entry, group_buffer, sizeof(group_buffer), &found);

	(void)context;
	if (!found)
		return lookup_error(error);
	*gid = entry.gr_gid;
	return 0;
}

static int system_each_user(
	void *context, int (*each)(void *argument, const struct policy_user *user), void *argument)
{
	struct passwd entry, *found;
	int status = 0, error = 0;

	(void)context;
	setpwent();
	while (status == 0) {
		struct policy_user user;

		error = getpwent_r(&entry, user_buffer, sizeof(user_buffer), &found);
		if (error)
			break;
		user = (struct policy_user){
			entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
		status = each(argument, &user);
	}
	endpwent();
	if (status)
		return status;
	return error == 0 || error == ENOENT ? 0 : -error;
}

static gid_t overflow_gid(void)
{
	FILE *file = fopen("/proc/sys/kernel/overflowgid", "re");
	unsigned int id = 65534;

	if (!file)
		return id;
	if (fscanf(file, "%u", &id) != 1)
		id = 65534;
	fclose(file);
	return id;
}

void policy_system_environment(struct policy_environment *environment)
{
	*environment = (struct policy_environment){
		.read_file = system_read_file,
		.last_file = system_last_file,
		.glob = system_glob,
		.user_by_name = system_user_by_name,
		.user_by_uid = system_user_by_uid,
		.group_by_name = system_group_by_name,
		.each_user = system_each_user,
		.overflow_uid = owner_overflow_uid(),
		.overflow_gid = overflow_gid(),
	};
}
