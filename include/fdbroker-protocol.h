/* SPDX-License-Identifier: MIT */
/*
 * fdbroker-protocol.h: what goes over the wire between a client and fdbrokerd, version 1.
 *
 * The transport is a connected AF_UNIX socket of type SOCK_SEQPACKET: one message is one request or
 * one reply, so there is no framing. Fields have fixed widths and the machine's own byte order; there
 * is no padding. doc/protocol.md explains it in full and is enough to write a client from.
 *
 * This header knows nobody: it declares layouts and limits, no functions.
 */
#ifndef FDBROKER_PROTOCOL_H
#define FDBROKER_PROTOCOL_H

#include <stdint.h>

#define FDBROKER_PROTOCOL_VERSION 1

/* Where a broker is found by default: an abstract name (@ stands for the NUL byte) and a path. */
#define FDBROKER_DEFAULT_ABSTRACT "@fdbroker"
#define FDBROKER_DEFAULT_PATHNAME "/run/fdbroker/socket"

/* Bytes. A longer request is answered with EBADMSG and costs the sender its connection. */
#define FDBROKER_REQUEST_MAX 65536
/* Bytes. No reply is longer. */
#define FDBROKER_REPLY_MAX 65536
/* Bytes, without a terminating NUL: PATH_MAX - 1. A longer path is answered with ENAMETOOLONG. */
#define FDBROKER_PATH_MAX 4095
/* Descriptors. No reply carries more. */
#define FDBROKER_DESCRIPTORS_MAX 250

enum fdbroker_operation {
	/* Open a file: `flags` and `mode` as in open(2); the reply carries one descriptor. */
	FDBROKER_OPEN = 1,
	/* Ask what the broker is doing: no path; the reply's data is text, a line "NAME VALUE" each. */
	FDBROKER_STATUS = 2,
	/*
	 * What statx(2) tells: `flags` is 0 or AT_SYMLINK_NOFOLLOW; the reply's data is this machine's
	 * struct statx, with what the kernel put into it for STATX_BASIC_STATS | STATX_BTIME.
	 */
	FDBROKER_STAT = 3,
	/* Whether the file is there and the policy allows to read (R_OK), write (W_OK) or, as `exec`,
	 * execute (X_OK) it: `mode` as in access(2). */
	FDBROKER_ACCESS = 4,
	/* The text of a symbolic link, as the reply's data. */
	FDBROKER_READLINK = 5,
	/*
	 * Entries of a directory, as many as fit: `flags` is 0 to begin, then what the last reply said.
	 * The reply's data is a struct fdbroker_list and after it entries (struct fdbroker_entry).
	 */
	FDBROKER_LIST = 6,
	/*
	 * A directory to open things beneath with plain openat(2): `flags` is O_RDONLY, or O_RDWR for one
	 * beneath which files can be written (`write-tree`); the reply carries one descriptor.
	 */
	FDBROKER_TREE = 7,
	/* Make a directory: `mode` as in mkdir(2). This and those up to UTIMENS have replies without data. */
	FDBROKER_MKDIR = 8,
	/* Remove an empty directory. */
	FDBROKER_RMDIR = 9,
	/* Remove the name of anything but a directory. */
	FDBROKER_UNLINK = 10,
	/* Give `path` the name that the extra bytes are: `flags` is 0, RENAME_NOREPLACE or RENAME_EXCHANGE. */
	FDBROKER_RENAME = 11,
	/* Give the file `path` the name that the extra bytes are as well: a hard link. */
	FDBROKER_LINK = 12,
	/* Make `path` a symbolic link whose text is the extra bytes. */
	FDBROKER_SYMLINK = 13,
	/* Set the permissions of a file: `mode` as in chmod(2), at most 0777. */
	FDBROKER_CHMOD = 14,
	/*
	 * Set the times of a file: `flags` is 0, or AT_SYMLINK_NOFOLLOW for those of a symbolic link itself;
	 * the extra bytes are a struct fdbroker_times.
	 */
	FDBROKER_UTIMENS = 15,
	/*
	 * An inotify instance with one watch, on the path: `flags` is the mask of inotify_add_watch(2), with neither
	 * IN_MASK_ADD nor IN_MASK_CREATE. The reply carries one descriptor; its data is the watch's number (int32_t).
	 */
	FDBROKER_WATCH = 16,
	/*
	 * A connected socket, and a bound one: the path is the address as a policy writes it, without wildcards
	 * ("unix:/run/x", "unix:@x", "unix-dgram:/run/x", "tcp:127.0.0.1:80", "udp:[fe80::1%2]:53"); `flags` is
	 * SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM, as the address calls for, and SOCK_NONBLOCK or not. The reply
	 * carries one descriptor.
	 */
	FDBROKER_CONNECT = 17,
	FDBROKER_BIND = 18,
	/*
	 * Have the policy read again and put into force: no path; the reply's data is text for a person,
	 * with an error too: then it says what is wrong, and what was in force is.
	 */
	FDBROKER_RELOAD = 19,
	/*
	 * Which requests of this connection are known: no path; the reply's data is the ids (uint32_t) of
	 * those that the worker has taken and not answered. Anyone may ask.
	 */
	FDBROKER_SYNC = 20,
	/*
	 * Never a request. As a reply with the id 0 and the error 0, without data, it says that another
	 * worker than before answers from now on: what is unanswered may be lost, and SYNC tells.
	 */
	FDBROKER_RESTARTED = 21,
};

/* A time for UTIMENS, as struct timespec is for utimensat(2). */
struct fdbroker_time {
	int64_t seconds;
	uint32_t nanoseconds; /* below 1,000,000,000; or this machine's UTIME_NOW or UTIME_OMIT */
	uint32_t reserved;    /* 0 */
};

/* The extra bytes of UTIMENS. */
struct fdbroker_times {
	struct fdbroker_time accessed, modified;
};

/* Precedes the entries of a list. */
struct fdbroker_list {
	uint64_t next; /* the `flags` to go on with; 0 at the end */
};

/* One entry of a list: this, and `name_length` bytes of name. The next one follows at once. */
struct fdbroker_entry {
	uint64_t inode;
	uint8_t type; /* DT_REG, DT_DIR, ... of <dirent.h>; DT_UNKNOWN where the file system is silent */
	uint8_t name_length;
	uint8_t reserved[6]; /* 0 */
};

/*
 * A request: this header, `path_length` bytes of path, `extra_length` bytes whose meaning depends on
 * the operation (RENAME, LINK, SYMLINK and UTIMENS have any; else zero). Neither ends in a NUL byte. The message
 * is exactly as long as the three together, else EBADMSG. No descriptors may be attached.
 */
struct fdbroker_request {
	uint16_t version;      /* FDBROKER_PROTOCOL_VERSION; else EPROTONOSUPPORT */
	uint16_t operation;    /* enum fdbroker_operation; else EOPNOTSUPP */
	uint32_t id;	       /* chosen by the client, not 0; repeated in the reply */
	uint64_t flags;	       /* by operation; unknown bits are EINVAL */
	uint32_t mode;	       /* by operation; zero where it has no meaning */
	uint16_t path_length;  /* bytes */
	uint16_t extra_length; /* bytes */
};

/*
 * A reply: this header and `data_length` bytes of data; `descriptors` descriptors come with the same
 * message in one SCM_RIGHTS control message. Fewer having arrived than that means that the receiver
 * had no room for them (MSG_CTRUNC), never that the broker sent fewer.
 *
 * Replies to one connection may come in any order. A reply with the id 0 answers no request: it is
 * RESTARTED, or says, by its error, why the connection ends (EDQUOT: this uid has too many; EBADMSG: a
 * message that was not even long enough for an id, or longer than any request).
 */
struct fdbroker_reply {
	uint16_t version;     /* FDBROKER_PROTOCOL_VERSION */
	uint16_t operation;   /* repeated from the request */
	uint32_t id;	      /* repeated from the request */
	uint32_t error;	      /* 0, or an errno value of this machine, positive */
	uint32_t descriptors; /* how many come with this message; 0 with an error */
	uint32_t data_length; /* bytes; 0 with an error, save of RELOAD */
	uint32_t reserved;    /* 0 */
};

_Static_assert(sizeof(struct fdbroker_request) == 24, "no padding");
_Static_assert(sizeof(struct fdbroker_reply) == 24, "no padding");
_Static_assert(sizeof(struct fdbroker_list) == 8, "no padding");
_Static_assert(sizeof(struct fdbroker_entry) == 16, "no padding");
_Static_assert(sizeof(struct fdbroker_times) == 32, "no padding");

#endif
