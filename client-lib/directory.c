// SPDX-License-Identifier: MIT
/*
 * directory.c: reads directories, in the manner of readdir(3), page by page.
 *
 * There is no descriptor behind it: each page is a request with the path and the position, which is
 * the file system's own and good at any time. So a directory may be of any size, it takes the room of
 * one page, and a child of fork(2) can go on reading. The path is spelled out once, at the beginning:
 * the working directory may change.
 *
 * The server is not believed. Every length is checked against what came, a page that leads nowhere ends
 * the reading, and a name must never be more than a name: a "/" or ".." in it would take a program that
 * puts it behind the directory's path to another place.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "connection.h"
#include "fdbroker-protocol.h"

struct fdbroker_dir {
	struct fdbroker *broker;
	uint64_t next;	 /* where the page after this one begins; 0: there is none */
	size_t at, used; /* bytes of `page`: those that were read, and all */
	size_t path_length;
	struct dirent entry;
	char path[ASK_PATH_BUFFER];
	char page[FDBROKER_REPLY_MAX - sizeof(struct fdbroker_reply)];
};

/* Gets the page that begins at `position`. 0, or a negative errno; then nothing is changed. */
static int read_page(struct fdbroker_dir *directory, uint64_t position)
{
	struct exchange exchange = {
		.operation = FDBROKER_LIST,
		.flags = position,
		.path = directory->path,
		.path_length = directory->path_length,
		.data = directory->page,
		.data_size = sizeof(directory->page),
	};
	struct fdbroker_list list;
	int error = connection_exchange(directory->broker, &exchange);

	if (error < 0)
		return error;
	if (exchange.data_length < sizeof(list))
		return -EPROTO;
	memcpy(&list, directory->page, sizeof(list));
	/* It goes on, but not from here: else it might for ever. */
	if (list.next != 0 && (exchange.data_length == sizeof(list) || list.next == position))
		return -EPROTO;
	directory->next = list.next;
	directory->at = sizeof(list);
	directory->used = exchange.data_length;
	return 0;
}

/* Whether it is the name of an entry, and one that is to be given. */
static bool is_name(const char *name, size_t length)
{
	if (length == 0 || memchr(name, '/', length) || memchr(name, '\0', length))
		return false;
	return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

/* Takes the next entry off the page, which is not at its end. 0 or -EPROTO. */
static int take_entry(struct fdbroker_dir *directory)
{
	static const uint8_t none[sizeof(((struct fdbroker_entry *)0)->reserved)];
	const char *bytes = directory->page + directory->at;
	size_t left = directory->used - directory->at;
	struct fdbroker_entry entry;

	if (left < sizeof(entry))
		return -EPROTO;
	memcpy(&entry, bytes, sizeof(entry));
	bytes += sizeof(entry);
	left -= sizeof(entry);
	if (entry.name_length > left || !is_name(bytes, entry.name_length) ||
		memcmp(entry.reserved, none, sizeof(none)) != 0)
		return -EPROTO;
	directory->entry.d_ino = entry.inode;
	directory->entry.d_type = entry.type;
	memcpy(directory->entry.d_name, bytes, entry.name_length);
	directory->entry.d_name[entry.name_length] = '\0';
	directory->at += sizeof(entry) + entry.name_length;
	return 0;
}

CLIENT_API struct fdbroker_dir *fdbroker_opendir(struct fdbroker *broker, const char *path)
{
	struct fdbroker_dir *directory = malloc(sizeof(*directory));
	int error = -ENOMEM;

	if (directory) {
		directory->broker = broker;
		directory->entry = (struct dirent){.d_reclen = sizeof(directory->entry)};
		error = ask_spell(path, true, directory->path, &directory->path_length);
		if (error == 0)
			error = read_page(directory, 0);
	}
	if (error == 0)
		return directory;
	free(directory);
	ask_failed(error);
	return NULL;
}

CLIENT_API struct dirent *fdbroker_readdir(struct fdbroker_dir *directory)
{
	int saved = errno;
	int error = 0;

	if (!directory) {
		ask_failed(-EINVAL);
		return NULL;
	}
	if (directory->at == directory->used) {
		if (directory->next == 0)
			return NULL;
		error = read_page(directory, directory->next);
		/* The last one may be empty. */
		if (error == 0 && directory->at == directory->used) {
			errno = saved;
			return NULL;
		}
	}
	if (error == 0)
		error = take_entry(directory);
	if (error < 0) {
		ask_failed(error);
		return NULL;
	}
	errno = saved;
	return &directory->entry;
}

CLIENT_API int fdbroker_closedir(struct fdbroker_dir *directory)
{
	if (!directory)
		return ask_failed(-EINVAL);
	free(directory);
	return 0;
}
