/* SPDX-License-Identifier: MIT */
#include "delivery.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/*
 * Bytes. What the shortest message counts for is the kernel's own struct sk_buff and skb_shared_info, 576
 * bytes on 64 bits, besides the message.
 */
#define MESSAGE_LEAST 512

static uint32_t sent_of(uint64_t state)
{
	return (uint32_t)state;
}

static uint32_t most_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint64_t state_of(uint32_t sent, uint32_t most)
{
	return (uint64_t)most << 32 | sent;
}

void delivery_add(struct delivery *delivery, uint32_t n)
{
	uint64_t old = atomic_load(&delivery->state), new;

	do
		new = state_of(sent_of(old) + n, n > most_of(old) ? n : most_of(old));
	while (!atomic_compare_exchange_weak(&delivery->state, &old, new));
}

uint32_t delivery_find(struct delivery *delivery, int socket)
{
	int queued;

	if (ioctl(socket, SIOCOUTQ, &queued) < 0 || queued <= 0)
		return 0;
	uint32_t found = (uint32_t)queued / MESSAGE_LEAST;
	atomic_store(&delivery->state, state_of(found, 1));
	return found;
}

uint32_t delivery_sent(const struct delivery *delivery)
{
	return sent_of(atomic_load(&delivery->state));
}

/* At most how many of `state` are in a queue that takes up so much. */
static uint32_t unread(uint64_t state, int queued)
{
	uint64_t most = (uint64_t)((unsigned int)queued / MESSAGE_LEAST) * most_of(state);

	return most < sent_of(state) ? (uint32_t)most : sent_of(state);
}

uint32_t delivery_received(struct delivery *delivery, int socket)
{
	/*
	 * Read before the queue is looked at: what is sent between the two is not in `before`, so that it
	 * cannot be taken for received, and only makes the queue longer.
	 */
	uint64_t before = atomic_load(&delivery->state), old = before, new;
	int queued;

	if (!sent_of(before) || socket < 0 || ioctl(socket, SIOCOUTQ, &queued) < 0 || queued < 0)
		return 0;
	uint32_t received = sent_of(before) - unread(before, queued);
	if (!received)
		return 0;
	do
		new = old == before &&received == sent_of(before)
			      ? 0
			      : state_of(sent_of(old) - received, most_of(old));
	while (!atomic_compare_exchange_weak(&delivery->state, &old, new));
	return received;
}

uint32_t delivery_forget(struct delivery *delivery)
{
	return sent_of(atomic_exchange(&delivery->state, 0));
}
