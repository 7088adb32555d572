/* SPDX-License-Identifier: MIT */
/* fake.h: a broker for unit tests, in a process of its own, that does as it is told. */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fdbroker_request;

/* What is done with the first request; every later one is answered well. */
enum fake_manner {
	FAKE_ANSWER,	       /* read it, answer in the shape given */
	FAKE_ANSWER_AND_CLOSE, /* the same, then close */
	FAKE_ANSWER_UNREAD,    /* answer without reading it, then close */
	FAKE_CLOSE,	       /* read it, close */
	FAKE_CLOSE_UNREAD,     /* close without reading it */
	FAKE_ANSWER_UNASKED,   /* answer before there is a request, then close */
	FAKE_CLOSE_UNASKED,    /* close before there is a request */
};

/* How an answer differs from a good one, which has one descriptor. Added to what would be right. */
struct fake_shape {
	enum fake_manner manner;
	int version, operation, id, descriptors, data_length, reserved;
	uint32_t error;	       /* goes into the header as it is */
	int sent_descriptors;  /* sent, whatever the header says; added to 1, or to 0 with an error
				*/
	int cut;	       /* bytes of the header left off ... */
	int more;	       /* ... or bytes added after it */
	bool id_zero;	       /* the id is 0, whatever was asked */
	unsigned int delay_ms; /* before the answer */
};

struct fake {
	pid_t pid;
	int fd; /* the client's end, or -1 for one that listens */
};

/* Starts one on a socketpair. Its `fd` is the caller's to give to fdbroker_from_fd. */
void fake_start(struct fake *fake, const struct fake_shape *shape);

/*
 * Starts one that listens at `address`, as uid `uid`, and answers any number of connections. What an
 * answer is depends on the path:
 *	/connection	the error FAKE_CONNECTION plus the number of the connection, from 0
 *	/connections	the error FAKE_CONNECTION plus how many connections are open
 *	/mode		the error is the mode in the request
 *	/slow		a good answer after 300 ms
 *	/restarted	a good answer after RESTARTED and the SYNC to it, which is not answered
 *	others		a descriptor of a file whose content is the path
 */
void fake_listen(struct fake *fake, const char *address, uid_t uid);
#define FAKE_CONNECTION 1000

/* A request that is expected, and the reply to it, byte by byte. */
struct fake_turn {
	uint16_t operation;
	uint64_t flags;
	uint32_t mode;
	const char *path;
	uint32_t error;
	unsigned int descriptors; /* of a file whose content is the path */
	const void *data;
	size_t length;
	unsigned int delay_ms; /* before the reply */
	const void *extra;
	size_t extra_length;
};

/*
 * Starts one on a socketpair that expects `count` requests, in this order, and then closes. Any other
 * request fails the test at fake_stop.
 */
void fake_play(struct fake *fake, const struct fake_turn *turns, size_t count);

/* Exit code of one that was sent a request it does not accept. */
#define FAKE_BAD_REQUEST 3

/* For a fake with manners of its own: forks, with a socketpair between the two. The child's end in the
 * child, else -1. */
int fake_fork(struct fake *fake);
/* Sends a message with `fd` as `count` descriptors. */
void fake_send(int socket_fd, const void *data, size_t length, int fd, int count);
/* Waits until the client has received all that was sent, and a moment longer. If it does not within five
 * seconds, the fake ends and the test fails. */
void fake_settle(int socket_fd);
/* A file that holds `text`, to be sent as the descriptor. */
int fake_text_file(const char *text);

/* Ends it and fails the test if it found something wrong with a request. */
void fake_stop(struct fake *fake);
/* Waits until it has ended by itself. */
void fake_wait(struct fake *fake);

/* The number of descriptors that this process has open. */
int count_descriptors(void);

/* Whether the file at `fd` has the content `text`. */
bool has_content(int fd, const char *text);

#endif
