/* SPDX-License-Identifier: MIT */
/*
 * patience.h: how long a thread may wait for a file system. What would take longer is not done: it is -EINPROGRESS
 * then, and the request is done again, from its start, by a thread that has more patience (lane.h).
 */
#ifndef BROKER_PATIENCE_H
#define BROKER_PATIENCE_H

enum patience {
	PATIENCE_NONE, /* what is in memory, of file systems that answer at once (prompt.h) */
	PATIENCE_DISK, /* what those have to read from their disk; and the maker, for a moment */
	PATIENCE_ALL, /* any file system, the other end of a FIFO, the holder of a lease: perhaps for ever */
};

#endif
