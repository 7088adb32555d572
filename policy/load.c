/* SPDX-License-Identifier: MIT */
/*
 * load.c: reads the files of a policy, in the order in which their statements count, and hands each
 * statement to the compiler. It must never open anything itself: the environment does.
 */
#include "compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDE_DEPTH_MAX 16u
#define FILES_MAX	  10000u

struct loader {
	struct compiler compiler;
	struct arena arena; /* words; freed when all is compiled */
	unsigned int depth;
};

static int load_text(struct loader *loader, const struct source *source);

/* The file that was read last, where it was read before under another name; or NULL. */
static const struct source *read_before(const struct loader *loader, uint64_t id[2])
{
	const struct policy_environment *environment = loader->compiler.environment;
	const struct policy *policy = loader->compiler.policy;

	if (!environment->last_file)
		return NULL;
	environment->last_file(environment->context, id);
	for (size_t i = 0; i < policy->source_count; i++)
		if (policy->sources[i]->identified && policy->sources[i]->id[0] == id[0] &&
			policy->sources[i]->id[1] == id[1])
			return policy->sources[i];
	return NULL;
}

/*
 * Reads a file and keeps it. `from` is the statement that includes it, NULL for the first. Returns
 * 0 and the source, -EINVAL (reported) or -ENOMEM.
 */
static int read_source(struct loader *loader, const char *path, const struct statement *from,
	struct source **source)
{
	const struct policy_environment *environment = loader->compiler.environment;
	struct policy *policy = loader->compiler.policy;
	const char *reason = NULL;
	const struct source *same;
	char *text = NULL, why[128];
	uint64_t id[2] = {0};
	size_t length = 0;
	int status = environment->read_file(environment->context, path, &text, &length, &reason);

	if (status == -ENOMEM)
		return status;
	if (status == 0 && length > POLICY_FILE_MAX) {
		free(text);
		status = -EFBIG;
	}
	if (status && !reason && status == -ENOENT)
		reason = "does not exist";
	if (status && !reason) {
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(-status));
		reason = why;
	}
	if (status && from)
		return compile_error(
			&loader->compiler, from, 1, NULL, "cannot read '%s': it %s", path, reason);
	if (status) {
		report_file(loader->compiler.diagnostics, path,
			status == -ENOENT ? "create it, or name another with --policy" : NULL, "%s",
			reason);
		return -EINVAL;
	}
	same = read_before(loader, id);
	if (same && from) {
		free(text);
		return compile_error(&loader->compiler, from, 1,
			"a file counts once, wherever it is included",
			"'%s' is read already, as '%s'", path, same->path);
	}
	*source = source_new(path, text, length, (unsigned int)policy->source_count);
	if (!*source)
		free(text);
	if (!*source || !array_reserve(&policy->sources, &policy->source_capacity,
				policy->source_count + 1, sizeof(*policy->sources))) {
		source_free(*source);
		return -ENOMEM;
	}
	(*source)->identified = environment->last_file != NULL;
	memcpy((*source)->id, id, sizeof(id));
	policy->sources[policy->source_count++] = *source;
	return 0;
}

/* Takes out what does not change a name: "." and empty components. */
static void normalize(char *path)
{
	char *out = path;

	for (const char *at = path; *at;) {
		if (at[0] == '/' && at[1] == '/') {
			at++;
		} else if (at[0] == '.' && at[1] == '/' && (at == path || at[-1] == '/')) {
			at += 2;
			at += strspn(at, "/");
		} else {
			*out++ = *at++;
		}
	}
	*out = '\0';
}

static int include_file(struct loader *loader, const struct statement *statement, char *path)
{
	struct policy *policy = loader->compiler.policy;
	struct source *source;
	int status;

	normalize(path);
	for (size_t i = 0; i < policy->source_count; i++)
		if (strcmp(policy->sources[i]->path, path) == 0)
			return compile_error(&loader->compiler, statement, 1,
				"a file counts once, wherever it is included",
				"'%s' is read already", path);
	if (loader->depth == INCLUDE_DEPTH_MAX)
		return compile_error(&loader->compiler, statement, 1,
			"does a file include itself under another name?",
			"files include one another more than %u deep", INCLUDE_DEPTH_MAX);
	if (policy->source_count >= FILES_MAX)
		return compile_error(
			&loader->compiler, statement, 1, NULL, "more than %u files", FILES_MAX);
	status = read_source(loader, path, statement, &source);
	if (status)
		return status;
	loader->depth++;
	status = load_text(loader, source);
	loader->depth--;
	return status;
}

/* Joins a path to the directory of the file that it stands in; a glob gets that as one, too. */
static char *include_path(
	struct arena *arena, const struct source *source, const char *path, bool wild)
{
	const char *slash = strrchr(source->path, '/');
	size_t directory = slash && path[0] != '/' ? (size_t)(slash - source->path) + 1 : 0;
	char *joined = arena_alloc(arena, 2 * directory + strlen(path) + 1);

	if (!joined)
		return NULL;
	if (wild)
		directory = word_glob_escape(source->path, directory, joined);
	else
		memcpy(joined, source->path, directory);
	memcpy(joined + directory, path, strlen(path) + 1);
	return joined;
}

static int include_glob(
	struct loader *loader, const struct statement *statement, const char *pattern)
{
	const struct policy_environment *environment = loader->compiler.environment;
	char **paths = NULL;
	const char *reason = NULL;
	size_t count = 0;
	int status = environment->glob(environment->context, pattern, &paths, &count, &reason);

	if (status && status != -ENOMEM)
		status = compile_error(&loader->compiler, statement, 1,
			status == -ENOENT ? "make the directory, or correct its name: an empty one "
					    "is fine"
					  : NULL,
			"cannot look up '%s': %s%s", pattern, reason ? "it " : "",
			reason ? reason : strerror(-status));
	for (size_t i = 0; i < count; i++) {
		if (status != -ENOMEM && include_file(loader, statement, paths[i]) == -ENOMEM)
			status = -ENOMEM;
		free(paths[i]);
	}
	free(paths);
	return status;
}

static int include(struct loader *loader, const struct statement *statement)
{
	char *text, *path;
	bool wild;
	int status = word_glob(statement->source, statement->line, &statement->words[1],
		&loader->arena, loader->compiler.diagnostics, &text, &wild);

	if (status)
		return status;
	if (!*text)
		return compile_error(&loader->compiler, statement, 1, NULL, "an empty name");
	path = include_path(&loader->arena, statement->source, text, wild);
	if (!path)
		return -ENOMEM;
	return wild ? include_glob(loader, statement, path) : include_file(loader, statement, path);
}

static int compile_statement(struct loader *loader, const struct statement *statement)
{
	struct compiler *compiler = &loader->compiler;

	/* In a subject without a name, which was reported, there is nothing to add to. */
	if (statement->keyword >= KEYWORD_USER && compiler->subject == NO_SUBJECT)
		return -EINVAL;
	switch (statement->keyword) {
	case KEYWORD_INCLUDE:
		return include(loader, statement);
	case KEYWORD_MAP:
		return compile_map(compiler, statement);
	case KEYWORD_DEFINE:
		return compile_define(compiler, statement);
	case KEYWORD_SUBJECT:
		return compile_subject(compiler, statement);
	case KEYWORD_USER:
	case KEYWORD_GROUP:
	case KEYWORD_EXE:
	case KEYWORD_UNIT:
	case KEYWORD_LABEL:
	case KEYWORD_VIA:
	case KEYWORD_DELEGATE:
		return compile_identity(compiler, statement);
	case KEYWORD_ALLOW:
	case KEYWORD_DENY:
		return compile_rule(compiler, statement);
	case KEYWORD_LIMIT:
		return compile_limit(compiler, statement);
	case KEYWORD_LOG:
		return compile_log(compiler, statement);
	case KEYWORD_EXPECT:
		return compile_expect(compiler, statement);
	case KEYWORD_END:
		return compile_subject_end(compiler);
	case KEYWORD_COUNT:
		break;
	}
	return 0;
}

static int load_text(struct loader *loader, const struct source *source)
{
	struct statement statement;
	struct syntax syntax;
	int status;

	syntax_init(&syntax, source, &loader->arena, loader->compiler.diagnostics);
	while ((status = syntax_next(&syntax, &statement)) == 1) {
		status = compile_statement(loader, &statement);
		if (status == -ENOMEM)
			break;
	}
	syntax_done(&syntax);
	if (status == 0)
		status = compile_subject_end(&loader->compiler);
	return status == -ENOMEM ? status : 0;
}

static int finish(struct loader *loader, const struct source *source)
{
	struct policy *policy = loader->compiler.policy;
	struct policy_diagnostics *diagnostics = loader->compiler.diagnostics;
	struct place place = {source, 0, 0, 0};

	if (policy->rule_count == 0 && policy_diagnostics_errors(diagnostics) == 0)
		report_warning(diagnostics, &place, "a subject with an allow would change that",
			"no rule at all: everything is denied");
	return compile_finish(&loader->compiler);
}

int policy_load(const char *path, const struct policy_environment *environment,
	struct policy_diagnostics *diagnostics, struct policy **policy)
{
	struct loader loader = {.compiler = {.environment = environment,
					.diagnostics = diagnostics,
					.subject = NO_SUBJECT}};
	struct policy *made = calloc(1, sizeof(*made));
	size_t errors = policy_diagnostics_errors(diagnostics);
	struct source *source = NULL;
	int status;

	*policy = NULL;
	if (!made)
		return -ENOMEM;
	made->overflow_uid = environment->overflow_uid;
	made->overflow_gid = environment->overflow_gid;
	loader.compiler.policy = made;
	status = builder_init(&loader.compiler.builder);
	if (status == 0)
		status = read_source(&loader, path, NULL, &source);
	if (status == 0)
		status = load_text(&loader, source);
	if (status == 0)
		status = finish(&loader, source);
	compile_done(&loader.compiler);
	arena_free(&loader.arena);
	report_sort(diagnostics);
	if (report_short(diagnostics))
		status = -ENOMEM;
	else if (status == 0 && policy_diagnostics_errors(diagnostics) > errors)
		status = -EINVAL;
	if (status) {
		policy_free(made);
		return status;
	}
	*policy = made;
	return 0;
}
