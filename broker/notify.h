/* SPDX-License-Identifier: MIT */
/*
 * notify.h: tells the service manager how the daemon is doing, by the datagrams of sd_notify(3). The protocol
 * is documented and stable there; a process with privileges needs no library for it.
 *
 * Nothing here waits. What there is no room for is sent again later (notify_turn); if it cannot be sent at all,
 * one line on standard error says so, once, and the daemon goes on.
 */
#ifndef BROKER_NOTIFY_H
#define BROKER_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Bytes of messages that wait to be sent, each with a NUL. */
#define NOTIFY_WAITING 1024

struct notify {
	struct sockaddr_un address;
	socklen_t length; /* of the address; 0: there is nobody to tell */
	int socket;
	bool reported;	  /* that it does not work */
	int64_t watchdog; /* ms between two signs of life; 0: nobody wants them */
	int64_t due;	  /* ms of CLOCK_MONOTONIC: the next one */
	size_t waiting;	  /* bytes in `text` */
	char text[NOTIFY_WAITING];
};

/* Reads $NOTIFY_SOCKET (a path, or @NAME), $WATCHDOG_USEC and $WATCHDOG_PID. */
void notify_init(struct notify *notify);

/* Removes these variables from the environment: for a child, before it executes something. */
void notify_clean_environment(void);

/* The daemon serves, for the first time or again after notify_reloading; `summary` is one line for people. */
void notify_ready(struct notify *notify, const char *summary);

/* It loads its configuration anew. With the time, by which the manager tells what was asked before it. */
void notify_reloading(struct notify *notify);

void notify_stopping(struct notify *notify);
void notify_status(struct notify *notify, const char *text);

/*
 * To be called at each turn of the loop: sends what waits, and a sign of life where one is due and `well`.
 * Returns in how many ms to come back, -1 for never.
 */
int notify_turn(struct notify *notify, bool well);

void notify_close(struct notify *notify);

#endif
