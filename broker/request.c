/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <errno.h>
#include <string.h>

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
	/* No operation of this version has anything to say there. */
	if (header.extra_length != 0)
		return -EBADMSG;
	request->flags = header.flags;
	request->mode = header.mode;
	request->path = (const char *)message + sizeof(header);
	request->path_length = header.path_length;
	return 0;
}
