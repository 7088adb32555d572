/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c: see snapshot.h. A header, then one entry after the other, in the order in which they were read: a file
 * with its text, or a pattern with the paths that it found, each with its NUL. Only what could be read is there:
 * with anything else the policy is not loaded, and there is nothing to be handed over.
 */
#include "snapshot.h"

#include "channel.h"
#include "sealed.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the form. A daemon that is upgraded may meet another one's. */
#ifndef SNAPSHOT_VERSION
#define SNAPSHOT_VERSION 1
#endif

struct header {
	char magic[12];
	uint32_t version;
	struct snapshot_time time;
};

#define MAGIC "fdb-policy"

enum entry_kind {
	ENTRY_FILE = 1,
	ENTRY_GLOB,
};

/* Then its name, with a NUL, and its content. */
struct entry {
	uint32_t kind;	      /* enum entry_kind */
	uint32_t name_length; /* without the NUL */
	uint64_t id[2];	      /* of a file: which it was; of a glob: how many paths */
	uint64_t length;      /* of the content */
};

struct snapshot {
	int file;
	char *bytes; /* of one that is read from; else NULL */
	size_t length, at;
	struct snapshot_time time;
	uint64_t id[2]; /* of the file that was read last */
	struct policy_environment below;
};

struct snapshot *snapshot_record(void)
{
	struct header header = {.magic = MAGIC, .version = SNAPSHOT_VERSION};
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	clock_stamp(header.time.stamp);
	header.time.ms = clock_ms();
	snapshot->time = header.time;
	snapshot->file = sealed_new("fdbroker-policy");
	int error = snapshot->file < 0 ? snapshot->file
				       : sealed_write(snapshot->file, &header, sizeof(header));
	if (error) {
		snapshot_free(snapshot);
		errno = -error;
		return NULL;
	}
	snapshot->length = sizeof(header);
	return snapshot;
}

struct snapshot *snapshot_replay(int file)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	ssize_t length = sealed_length(file, CHANNEL_SNAPSHOT_MAX);
	struct header header;
	int error = snapshot ? 0 : -ENOMEM;

	if (!error && length < (ssize_t)sizeof(header))
		error = length < 0 ? (int)length : -EINVAL;
	void *bytes =
		error ? MAP_FAILED : mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, file, 0);
	if (!error && bytes == MAP_FAILED)
		error = -errno;
	if (error) {
		free(snapshot);
		errno = -error;
		return NULL;
	}
	memcpy(&header, bytes, sizeof(header));
	if (memcmp(header.magic, MAGIC, sizeof(MAGIC)) != 0 || header.version != SNAPSHOT_VERSION) {
		munmap(bytes, (size_t)length);
		free(snapshot);
		errno = EPROTONOSUPPORT;
		return NULL;
	}
	*snapshot = (struct snapshot){
		.file = file,
		.bytes = bytes,
		.length = (size_t)length,
		.at = sizeof(header),
		.time = header.time,
	};
	return snapshot;
}

/* ---- filling ---------------------------------------------------------------------------------- */

static int add(struct snapshot *snapshot, enum entry_kind kind, const char *name,
	const uint64_t id[2], const char *content, size_t length)
{
	struct entry entry = {
		.kind = kind,
		.name_length = (uint32_t)strlen(name),
		.id = {id[0], id[1]},
		.length = length,
	};
	size_t size = sizeof(entry) + entry.name_length + 1 + length;

	if (size > CHANNEL_SNAPSHOT_MAX - snapshot->length)
		return -EFBIG;
	snapshot->length += size;
	int error = sealed_write(snapshot->file, &entry, sizeof(entry));
	if (!error)
		error = sealed_write(snapshot->file, name, entry.name_length + 1);
	return error ? error : sealed_write(snapshot->file, content, length);
}

static int record_file(
	void *context, const char *path, char **text, size_t *length, const char **reason)
{
	struct snapshot *snapshot = context;
	struct policy_environment *below = &snapshot->below;
	int error = below->read_file(below->context, path, text, length, reason);

	if (error)
		return error;
	if (below->last_file)
		below->last_file(below->context, snapshot->id);
	error = add(snapshot, ENTRY_FILE, path, snapshot->id, *text, *length);
	if (error)
		free(*text);
	if (error == -EFBIG)
		*reason = "makes the files of the policy more than 64 MiB together";
	return error;
}

static int add_paths(struct snapshot *snapshot, const char *pattern, char **paths, size_t count)
{
	const uint64_t id[2] = {count};
	char *content = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&content, &length);

	if (!stream)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		fwrite(paths[i], strlen(paths[i]) + 1, 1, stream);
	int error = ferror(stream) ? -ENOMEM : 0;
	if (fclose(stream) != 0)
		error = -ENOMEM;
	if (!error)
		error = add(snapshot, ENTRY_GLOB, pattern, id, content, length);
	free(content);
	return error;
}

static void free_paths(char **paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}

static int record_glob(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	struct snapshot *snapshot = context;
	struct policy_environment *below = &snapshot->below;
	int error = below->glob(below->context, pattern, paths, count, reason);

	if (error)
		return error;
	error = add_paths(snapshot, pattern, *paths, *count);
	if (error) {
		free_paths(*paths, *count);
		*paths = NULL;
		*count = 0;
	}
	return error;
}

/* ---- reading from ----------------------------------------------------------------------------- */

/* The entry at `at`, and where the next one is. False at the end. */
static bool read_entry(
	const struct snapshot *snapshot, size_t at, struct entry *entry, size_t *next)
{
	size_t left = snapshot->length - at;

	if (left < sizeof(*entry))
		return false;
	memcpy(entry, snapshot->bytes + at, sizeof(*entry));
	left -= sizeof(*entry);
	if (entry->name_length >= left || entry->length > left - entry->name_length - 1)
		return false;
	*next = at + sizeof(*entry) + entry->name_length + 1 + entry->length;
	return true;
}

/* Its content, or NULL. They are asked for in the order in which they were, nearly always. */
static const char *find(
	struct snapshot *snapshot, enum entry_kind kind, const char *name, struct entry *entry)
{
	size_t length = strlen(name), begin = snapshot->at, next;

	for (size_t at = begin;; at = next) {
		if (!read_entry(snapshot, at, entry, &next))
			break;
		const char *its = snapshot->bytes + at + sizeof(*entry);
		if (entry->kind != kind || entry->name_length != length ||
			memcmp(its, name, length) != 0)
			continue;
		snapshot->at = next;
		return its + length + 1;
	}
	snapshot->at = sizeof(struct header);
	return begin == snapshot->at ? NULL : find(snapshot, kind, name, entry);
}

static const char missing[] = "is not among the files of the policy that served";

static int replay_file(
	void *context, const char *path, char **text, size_t *length, const char **reason)
{
	struct snapshot *snapshot = context;
	struct entry entry;
	const char *content = find(snapshot, ENTRY_FILE, path, &entry);

	if (!content) {
		*reason = missing;
		return -ENOENT;
	}
	*text = malloc(entry.length ? entry.length : 1);
	if (!*text)
		return -ENOMEM;
	memcpy(*text, content, entry.length);
	*length = entry.length;
	memcpy(snapshot->id, entry.id, sizeof(snapshot->id));
	return 0;
}

static int replay_glob(
	void *context, const char *pattern, char ***paths, size_t *count, const char **reason)
{
	struct entry entry;
	const char *content = find(context, ENTRY_GLOB, pattern, &entry);

	*paths = NULL;
	*count = 0;
	if (!content) {
		*reason = missing;
		return -ENOENT;
	}
	if (!entry.id[0])
		return 0;
	*paths = calloc(entry.id[0], sizeof(**paths));
	if (!*paths)
		return -ENOMEM;
	for (const char *end = content + entry.length; content < end;
		content += strnlen(content, (size_t)(end - content)) + 1) {
		if (*count == entry.id[0])
			break;
		(*paths)[*count] = strndup(content, (size_t)(end - content));
		if (!(*paths)[*count]) {
			free_paths(*paths, *count);
			*paths = NULL;
			*count = 0;
			return -ENOMEM;
		}
		++*count;
	}
	return 0;
}

/* ---- between ---------------------------------------------------------------------------------- */

static void last_file(void *context, uint64_t id[2])
{
	const struct snapshot *snapshot = context;

	memcpy(id, snapshot->id, sizeof(snapshot->id));
}

/* Users and groups: those of below, with its context. */
static int user_by_name(void *context, const char *name, struct policy_user *user)
{
	const struct policy_environment *below = &((struct snapshot *)context)->below;

	return below->user_by_name(below->context, name, user);
}

static int user_by_uid(void *context, uid_t uid, struct policy_user *user)
{
	const struct policy_environment *below = &((struct snapshot *)context)->below;

	return below->user_by_uid(below->context, uid, user);
}

static int group_by_name(void *context, const char *name, gid_t *gid)
{
	const struct policy_environment *below = &((struct snapshot *)context)->below;

	return below->group_by_name(below->context, name, gid);
}

static int each_user(
	void *context, int (*each)(void *argument, const struct policy_user *user), void *argument)
{
	const struct policy_environment *below = &((struct snapshot *)context)->below;

	return below->each_user(below->context, each, argument);
}

void snapshot_wrap(struct snapshot *snapshot, struct policy_environment *environment)
{
	snapshot->below = *environment;
	environment->context = snapshot;
	environment->read_file = snapshot->bytes ? replay_file : record_file;
	if (environment->last_file)
		environment->last_file = last_file;
	environment->glob = snapshot->bytes ? replay_glob : record_glob;
	environment->user_by_name = user_by_name;
	environment->user_by_uid = user_by_uid;
	environment->group_by_name = group_by_name;
	environment->each_user = each_user;
}

struct snapshot_time snapshot_time(const struct snapshot *snapshot)
{
	return snapshot->time;
}

int snapshot_finish(struct snapshot *snapshot)
{
	int error = snapshot->bytes ? 0 : sealed_close(snapshot->file);

	return error ? error : snapshot->file;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->bytes)
		munmap(snapshot->bytes, snapshot->length);
	if (snapshot->file >= 0)
		close(snapshot->file);
	free(snapshot);
}
