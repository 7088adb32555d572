/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <errno.h>
#include <string.h>

/* Whether extra bytes of that length are of use to the operation. */
static bool takes_extra(uint16_t operation, size_t length)
{
	switch (operation) {
	case FDBROKER_RENAME:
	case FDBROKER_LINK:
	case FDBROKER_SYMLINK:
		return true;
	case FDBROKER_UTIMENS:
		return length == sizeof(struct fdbroker_times);
	default:
		return length == 0;
	}
}

int request_decode(const void *message, size_t length, struct request *request)
{
	struct fdbroker_request header;

	*request = (struct request){0};
	/* Even of a message that is too short or of another version the id is worth repeating. */
	if (length >= offsetof(struct fdbroker_request, flags)) {
		memcpy(&header, message, offsetof(struct fdbroker_request, flags));
		request->operation = header.operation;
		request->id = header.id;
		if (header.version != FDBROKER_PROTOCOL_VERSION)
			return -EPROTONOSUPPORT;
	}
	if (length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, message, sizeof(header));
	if (length != sizeof(header) + header.path_length + header.extra_length)
		return -EBADMSG;
	/* The id of what is said about the connection as a whole. */
	if (header.id == 0)
		return -EBADMSG;
	if (!takes_extra(header.operation, header.extra_length))
		return -EBADMSG;
	request->flags = header.flags;
	request->mode = header.mode;
	request->path = (const char *)message + sizeof(header);
	request->path_length = header.path_length;
	request->extra = request->path + header.path_length;
	request->extra_length = header.extra_length;
	return 0;
}
