/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>

int tree_open(const struct resolver *resolver, const struct peer *peer,
	const struct request *request, struct outcome *outcome)
{
	__attribute__((uninitialized)) struct resolution resolution;
	struct policy_decision decision;
	bool writable = request->flags == O_RDWR;
	uint32_t right = writable ? POLICY_WRITE_TREE : POLICY_TREE;
	int error = resolve_start(
		&resolution, resolver, peer->caller, request->path, request->path_length, outcome);

	if (!error && ((request->flags != O_RDONLY && !writable) || request->mode)) {
		outcome->reason = "flags other than O_RDONLY and O_RDWR, or a mode";
		error = -EINVAL;
	}
	if (error)
		return error;
	policy_decide_tree(resolver->policy, peer->caller, resolver->scratch, right,
		resolution.path, resolution.length, &decision);
	resolve_settle(&resolution, right, &decision);
	if (decision.reason != POLICY_ALLOWED)
		return -EACCES;
	int tree = views_open_tree(resolver->views, decision.directory, writable, peer->caller,
		peer->gid, resolver->patience);
	if (tree < 0)
		outcome->verdict = VERDICT_ERROR;
	/* A link somewhere on its way: to the caller that is as if nothing were there. */
	return tree == -ELOOP ? -EACCES : tree;
}
