/* SPDX-License-Identifier: MIT */
/*
 * delivery.h: how many of the descriptors sent over a socket may still lie in its queue. The kernel tells
 * nobody when a message is received; it tells, when asked (SIOCOUTQ, unix(7)), how much memory those take up that
 * were not, also after shutdown(2). From that follows how many messages there can be at most.
 *
 * One thread sends and calls delivery_add. One other, at a time, may call delivery_received meanwhile.
 */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H

#include <stdatomic.h>
#include <stdint.h>

struct delivery {
	/* Descriptors not known to have been received; above them, the most of one message among them. */
	_Atomic uint64_t state;
};

/* A message with `n` descriptors, at most 65,535, has just been sent. */
void delivery_add(struct delivery *delivery, uint32_t n);

/*
 * At most so many messages were in the queue when another process had the socket: they count as having a descriptor
 * each. Returns how many. To be called before the first delivery_add.
 */
uint32_t delivery_find(struct delivery *delivery, int socket);

/* How many are not known to have been received. */
uint32_t delivery_sent(const struct delivery *delivery);

/* How many of these, it turns out, have been received; they are not among them any more. -1: no socket. */
uint32_t delivery_received(struct delivery *delivery, int socket);

/* Forgets all, and returns how many there were. */
uint32_t delivery_forget(struct delivery *delivery);

#endif
