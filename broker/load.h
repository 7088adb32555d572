/* SPDX-License-Identifier: MIT */
/*
 * load.h: what a worker does before it serves. In this order: it reads the policy, as root, or the copy of it that
 * the worker before it has left (snapshot.h); names to the maker
 * the programs and the directories that the policy names, and gets their views; and gives up everything else. It
 * hears nothing from a client meanwhile.
 */
#ifndef BROKER_LOAD_H
#define BROKER_LOAD_H

#include "audit.h"
#include "options.h"
#include "policy.h"
#include "snapshot.h"
#include "views.h"

struct loaded {
	struct policy *policy;
	struct views *views;
	struct snapshot *snapshot;
};

/*
 * Does all of it. `line` and `log` are for the record, `channel` is to the supervisor, who is told of what is wrong
 * with the policy; `questions` is how to ask the maker; what it sends first is heard here. 0, or 1 after a line on
 * standard error; what is in `loaded` is to be released in both cases.
 * `snapshot` is the copy to be read in place of the files, which is then this function's; -1: the files are read.
 */
int load_all(const struct options *options, struct audit_line *line, int log, int channel,
	struct questions *questions, int snapshot, struct loaded *loaded);
void load_release(struct loaded *loaded);

#endif
