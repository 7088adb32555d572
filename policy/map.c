/* SPDX-License-Identifier: MIT */
/*
 * map.c: `map`: a leading path rewritten before anything is decided, once, by the longest prefix.
 */
#include "compile.h"
#include "lint.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* A literal path as a pattern, without the way through atoms. */
static int literal_pattern(struct pattern *pattern, const char *path)
{
	pattern->count = 0;
	pattern->used = 0;
	for (const char *at = path + 1; *at;) {
		size_t length = strcspn(at, "/");

		if (!array_reserve(&pattern->components, &pattern->capacity, pattern->count + 1,
			    sizeof(*pattern->components)) ||
			!array_reserve(&pattern->bytes, &pattern->room, pattern->used + length, 1))
			return -ENOMEM;
		pattern->components[pattern->count++] = (struct component){
			COMPONENT_LITERAL, (uint32_t)pattern->used, (uint32_t)length};
		memcpy(pattern->bytes + pattern->used, at, length);
		pattern->used += length;
		at += length + (at[length] == '/');
	}
	return 0;
}

int compile_map(struct compiler *compiler, const struct statement *statement)
{
	struct policy *policy = compiler->policy;
	struct map map = {.place = compile_place(statement, 1)};
	struct tree_entry entry = {0};
	uint32_t node, *note;
	int status = compile_literal_path(compiler, statement, 1, "what is mapped", &map.from);
	int second = compile_literal_path(compiler, statement, 2, "what it is mapped to", &map.to);

	if (status || second)
		return status == -ENOMEM || !second ? status : second;
	status = literal_pattern(&compiler->pattern, map.from);
	if (status == 0)
		status = builder_insert(
			&compiler->builder, TREE_MAPS, &compiler->pattern, &node, NULL);
	if (status)
		return status;
	note = builder_note(&compiler->builder, node);
	if (*note)
		return compile_error(compiler, statement, 1, "a path is mapped once",
			"'%s' is mapped at %s:%u already", map.from,
			policy->maps[*note - 1].place.source->path,
			policy->maps[*note - 1].place.line);
	if (!array_reserve(
		    &policy->maps, &policy->map_capacity, policy->map_count + 1, sizeof(map)))
		return -ENOMEM;
	entry.rule = (uint32_t)policy->map_count;
	policy->maps[policy->map_count++] = map;
	*note = (uint32_t)policy->map_count;
	return builder_attach(&compiler->builder, node, &entry, false);
}

const struct map *map_find(const struct policy *policy, const char *path, size_t length)
{
	const struct tree *tree = &policy->tree;
	uint32_t node = tree->roots[TREE_MAPS];
	const struct map *found = NULL;
	size_t at = 0;

	if (policy->map_count == 0 || length == 0 || path[0] != '/')
		return NULL;
	for (;;) {
		const char *name, *slash;
		size_t size;

		if (tree->nodes[node].entry_count)
			found = &policy->maps[tree->entries[tree->nodes[node].entry].rule];
		if (++at >= length)
			return found;
		name = path + at;
		slash = memchr(name, '/', length - at);
		size = slash ? (size_t)(slash - name) : length - at;
		node = table_find(
			&tree->table, node, name, size, table_name_hash(&tree->table, name, size));
		if (!node)
			return found;
		at += size;
	}
}

ssize_t policy_map(const struct policy *policy, const char *path, size_t length, char *buffer)
{
	const struct map *map = map_find(policy, path, length);
	size_t from = 0, to = 0;

	if (map) {
		from = map->from[1] ? strlen(map->from) : 0;
		to = map->to[1] ? strlen(map->to) : 0;
		/* The root is a prefix of no bytes: "/" itself has none left. */
		if (from == 0 && length == 1)
			from = 1;
		if (to == 0 && length == from)
			to = 1;
	}
	if (length - from + to > POLICY_PATH_BUFFER - 1)
		return -ENAMETOOLONG;
	if (to)
		memcpy(buffer, map->to, to);
	memcpy(buffer + to, path + from, length - from);
	buffer[length - from + to] = '\0';
	return (ssize_t)(length - from + to);
}

static bool is_beneath(const char *path, const char *directory)
{
	size_t length = directory[1] ? strlen(directory) : 0;

	return strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]);
}

bool policy_map_hides(
	const struct policy *policy, const char *path, const char **from, const char **to)
{
	const struct map *map = map_find(policy, path, strlen(path));

	if (!map)
		return false;
	/* What is mapped may itself come to lie there. */
	for (size_t i = 0; i < policy->map_count; i++)
		if (is_beneath(policy->maps[i].to, path) || is_beneath(path, policy->maps[i].to))
			return false;
	*from = map->from;
	*to = map->to;
	return true;
}
