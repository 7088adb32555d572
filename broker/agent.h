/* SPDX-License-Identifier: MIT */
/*
 * agent.h: a process that lives for one request, as the caller whose request it is: the maker's child. What a socket
 * shows to its other end, and to whom an inotify instance is charged, is who made it: so it is not root who does.
 *
 * It may hang, as connect(2) does for as long as nobody accepts. Whoever runs it waits until a deadline, and kills it.
 */
#ifndef BROKER_AGENT_H
#define BROKER_AGENT_H

#include "act.h"
#include "become.h"

/*
 * Has `act` done by `identity`. The descriptor, the caller's of this function, or a negative errno: -ETIMEDOUT after
 * `ms` milliseconds; -ECONNABORTED where somebody has killed or stopped it; else those of become and act_do. Any
 * number of threads may call it.
 */
int agent_run(const struct identity *identity, const struct act *act, int ms, int32_t *watch);

#endif
