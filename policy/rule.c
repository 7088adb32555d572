/* SPDX-License-Identifier: MIT */
/*
 * rule.c: `allow` and `deny`: rights, patterns, and where in the tree they go.
 */
#include "rule.h"

#include "compile.h"
#include "prefix.h"
#include "rights.h"
#include "rule-address.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- rights -----------------------------------------------------------------------------------
 */

static int unknown_right(struct compiler *compiler, const struct place *place, const char *name,
	size_t length, bool last)
{
	struct suggest suggest;
	char hint[SUGGEST_BUFFER], lower[64];

	for (size_t i = 0; i < length && i < sizeof(lower); i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	suggest_init(&suggest, lower, length < sizeof(lower) ? length : sizeof(lower));
	rights_suggest(&suggest);
	suggest_try(&suggest, "all");
	report_error(compiler->diagnostics, place,
		last && !length ? "there is no blank behind a comma: read,write"
				: suggest_hint(&suggest, hint),
		length ? "unknown right '%.*s'" : "a right is missing%.*s", (int)length, name);
	return -EINVAL;
}

int compile_rights(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool deny, uint32_t *rights)
{
	const struct word *names = &statement->words[word];
	uint32_t at = 0, right, length;
	int status = 0;

	*rights = 0;
	for (; at <= names->length; at += length + 1) {
		struct place place = compile_place(statement, word);
		const char *name = names->text + at;

		for (length = 0; at + length < names->length && name[length] != ',';)
			length++;
		place.column += at;
		place.length = length ? length : 1;
		right = right_by_name(name, length);
		if (length == 3 && memcmp(name, "all", 3) == 0) {
			if (!deny) {
				report_error(compiler->diagnostics, &place,
					"name the rights that are needed: read, write, create, ...",
					"'all' is only for deny");
				status = -EINVAL;
			}
			right = RIGHTS_ALL;
		} else if (!right) {
			status = unknown_right(compiler, &place, name, length, at == names->length);
		} else if (*rights & right) {
			report_error(compiler->diagnostics, &place, NULL,
				"the right '%.*s' is there twice", (int)length, name);
			status = -EINVAL;
		}
		*rights |= right;
	}
	if (status == 0 && *rights != RIGHTS_ALL && *rights & POLICY_PATH_RIGHTS &&
		*rights & POLICY_ADDRESS_RIGHTS)
		return compile_error(compiler, statement, word, "write two rules",
			"rights on paths and on addresses in one rule");
	return status;
}

/* ---- patterns ---------------------------------------------------------------------------------
 */

/* The first `depth` components of a pattern, which have variables. NULL where memory is short. */
static char *pattern_template(const struct pattern *pattern, size_t depth, struct arena *arena)
{
	char path[2 * PATH_MAX];

	return pattern_print(pattern, depth, path, sizeof(path))
		       ? arena_copy(arena, path, strlen(path))
		       : NULL;
}

static struct directory_length measure(const char *path, bool varies)
{
	struct directory_length length = {0};

	for (const char *at = path; *at; at++) {
		if (varies && *at == '%' && *++at != '%') {
			length.users += *at == 'u';
			length.uids += *at == 'U';
			length.homes += *at == 'h';
		} else {
			length.bytes++;
		}
	}
	if (!path[1])
		length.bytes = 0;
	return length;
}

/* The directory of a node, added to the table where it is new. */
static int find_directory(struct rule_target *target, uint32_t anchor, uint32_t *number)
{
	struct policy *policy = target->compiler->policy;
	const struct pattern *pattern = &target->compiler->pattern;
	uint32_t *note = builder_note(&target->compiler->builder, anchor);
	size_t capacity, depth;
	bool varies;
	char *path;

	if (*note) {
		*number = *note - 1;
		return 0;
	}
	depth = pattern_anchor(pattern);
	varies = pattern_varies(pattern, depth);
	path = varies ? pattern_template(pattern, depth, &policy->arena)
		      : pattern_literal(pattern, depth, &policy->arena);
	capacity = policy->directory_capacity;
	if (!path ||
		!array_reserve(&policy->directory_lengths, &capacity, policy->directory_count + 1,
			sizeof(*policy->directory_lengths)) ||
		!array_reserve(&policy->directories, &policy->directory_capacity,
			policy->directory_count + 1, sizeof(*policy->directories)))
		return -ENOMEM;
	*number = (uint32_t)policy->directory_count;
	policy->directory_lengths[*number] = measure(path, varies);
	policy->directories[*number] = (struct policy_directory){.path = path,
		.variables = varies,
		.file = target->rule->place.file,
		.line = target->rule->place.line};
	policy->directory_count++;
	*note = *number + 1;
	return 0;
}

static int add_directory(struct rule_target *target, uint32_t anchor, uint32_t *number)
{
	const struct rule *rule = target->rule;
	struct policy_directory *directory;
	int status = find_directory(target, anchor, number);

	if (status)
		return status;
	directory = &target->compiler->policy->directories[*number];
	if (rule->exec)
		directory->exec_rights |= rule->rights;
	else
		directory->rights |= rule->rights;
	directory->types |= rule->types;
	return 0;
}

/* A directory that is handed out whole has its own table, and its own part of the tree. */
static int add_tree(struct rule_target *target)
{
	struct compiler *compiler = target->compiler;
	struct policy *policy = compiler->policy;
	const struct rule *rule = target->rule;
	struct tree_entry entry = {rule->subject, target->number, (uint32_t)policy->tree_count};
	struct policy_tree tree = {
		.rights = rule->written & (POLICY_TREE | POLICY_WRITE_TREE),
		.variables = compiler->pattern.variables != 0,
		.exec = rule->exec,
		.idmap = rule->idmap,
		.idmap_from = rule->idmap_from,
		.idmap_to = rule->idmap_to,
		.idmap_count = rule->idmap_count,
		.file = rule->place.file,
		.line = rule->place.line,
	};
	size_t depth = compiler->pattern.count;
	uint32_t node;
	int status;

	tree.path = tree.variables ? pattern_template(&compiler->pattern, depth, &policy->arena)
				   : pattern_literal(&compiler->pattern, depth, &policy->arena);
	if (!tree.path || !array_reserve(&policy->trees, &policy->tree_capacity,
				  policy->tree_count + 1, sizeof(tree)))
		return -ENOMEM;
	policy->trees[policy->tree_count++] = tree;
	status = builder_insert(&compiler->builder, TREE_TREES, &compiler->pattern, &node, NULL);
	return status ? status : builder_attach(&compiler->builder, node, &entry, false);
}

/* `deny all /PATH`: no socket there either, nor beneath it. */
static int deny_sockets(struct rule_target *target, const struct tree_entry *entry)
{
	static const enum tree_root roots[] = {TREE_UNIX, TREE_UNIX_DATAGRAM};
	struct builder *builder = &target->compiler->builder;
	uint32_t node;
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(roots) / sizeof(roots[0]); i++) {
		status = builder_insert(builder, roots[i], &target->compiler->pattern, &node, NULL);
		if (status == 0)
			status = builder_attach(builder, node, entry, true);
	}
	return status;
}

static int add_path(struct rule_target *target, const struct atom *atoms, size_t count)
{
	struct compiler *compiler = target->compiler;
	struct rule *rule = target->rule;
	struct tree_entry entry = {rule->subject, target->number, 0};
	uint32_t node, anchor;
	int status;

	if (rule->written != RIGHTS_ALL && rule->written & POLICY_ADDRESS_RIGHTS) {
		report_error(compiler->diagnostics, &target->place,
			"for example unix:/run/app.sock or tcp:127.0.0.1:5432",
			"'connect' and 'bind' need an address");
		return -EINVAL;
	}
	status = pattern_parse_path(
		&compiler->pattern, atoms, count, &target->place, compiler->diagnostics);
	if (status)
		return status;
	if (!rule->deny && rule->written & (POLICY_TREE | POLICY_WRITE_TREE) &&
		compiler->pattern.wild) {
		struct place place = target->place;

		place.column = compiler->pattern.wild_column;
		place.length = 1;
		report_error(compiler->diagnostics, &place,
			"name the directory; what is beneath it comes with it",
			"a tree cannot have a wildcard");
		return -EINVAL;
	}
	rule->variables |= (uint8_t)compiler->pattern.variables;
	if (prefix_keep(compiler, rule, &target->place, false))
		return -ENOMEM;
	status = builder_insert(&compiler->builder, TREE_FILES, &compiler->pattern, &node, &anchor);
	if (status == 0 && !rule->deny)
		status = add_directory(target, anchor, &entry.directory);
	if (status == 0 && !rule->deny && rule->written & (POLICY_TREE | POLICY_WRITE_TREE))
		status = add_tree(target);
	if (status == 0)
		status = builder_attach(&compiler->builder, node, &entry, rule->deny);
	if (status == 0 && rule->deny && rule->written == RIGHTS_ALL)
		status = deny_sockets(target, &entry);
	return status;
}

static int add_pattern(void *context, const struct atom *atoms, size_t count)
{
	int status = rule_add_address(context, atoms, count);

	return status == 1 ? add_path(context, atoms, count) : status;
}

static int add_word(struct rule_target *target, uint32_t word, size_t *budget)
{
	struct compiler *compiler = target->compiler;
	const struct statement *statement = target->statement;
	struct expand_target each = {add_pattern, target};
	int status;

	target->place = compile_place(statement, word);
	compiler->atoms.count = 0;
	status = word_atoms(statement->source, statement->line, &statement->words[word],
		&compiler->defines, &compiler->atoms, compiler->diagnostics);
	if (status == 0)
		status = expand(&compiler->atoms, &compiler->defines, budget, &each);
	if (status == -E2BIG)
		status =
			compile_error(compiler, statement, word, "use a wildcard, or several rules",
				"the rule expands to more than %u patterns", EXPAND_MAX);
	else if (expand_error(status))
		status = compile_error(
			compiler, statement, word, "use a wildcard", "%s", expand_error(status));
	return status;
}

/* Where the options begin: they are words of letters, which no pattern is. */
static uint32_t find_modifiers(const struct statement *statement)
{
	uint32_t word = 2;

	for (; word < statement->count; word++) {
		const struct word *text = &statement->words[word];
		uint32_t letters = 0;

		while (letters < text->length &&
			(isalpha((unsigned char)text->text[letters]) || text->text[letters] == '-'))
			letters++;
		if (letters && letters == text->length)
			break;
	}
	return word;
}

int compile_rule(struct compiler *compiler, const struct statement *statement)
{
	struct policy *policy = compiler->policy;
	struct rule rule = {.subject = compiler->subject,
		.deny = statement->keyword == KEYWORD_DENY,
		.mode = MODE_DEFAULT,
		.owner = POLICY_OWNER_CALLER,
		.group = POLICY_GROUP_CALLER,
		.column = statement->words[0].column,
		.source = statement->source,
		.place = {statement->source->path, statement->line,
			policy->subjects[compiler->subject].name}};
	struct rule_target target = {compiler, statement, {0}, &rule, (uint32_t)policy->rule_count};
	uint32_t modifiers = find_modifiers(statement);
	size_t budget = EXPAND_MAX;
	int status, failed;

	if (!array_reserve(
		    &policy->rules, &policy->rule_capacity, policy->rule_count + 1, sizeof(rule)))
		return -ENOMEM;
	failed = compile_rights(compiler, statement, 1, rule.deny, &rule.written);
	/* What follows a comma and a blank are rights, and would be taken for options. */
	if (statement->words[1].text[statement->words[1].length - 1] == ',')
		return failed;
	rule.rights = rule.deny ? rule.written : rights_implied(rule.written);
	status = compile_modifiers(compiler, statement, modifiers, &rule);
	if (status)
		failed = status;
	if (modifiers == 2 && status == 0)
		failed = compile_error(
			compiler, statement, 2, "a path begins with '/'", "the rule names no path");
	for (uint32_t i = 2; i < modifiers && status != -ENOMEM; i++) {
		status = add_word(&target, i, &budget);
		if (status)
			failed = status;
	}
	if (status == -ENOMEM)
		return status;
	policy->rules[policy->rule_count++] = rule;
	policy->variables |= rule.variables;
	if (!rule.deny)
		policy->rights |= rule.rights;
	if (rule.deny && rule.variables & (VARIABLE_USER | VARIABLE_HOME)) {
		if (!array_reserve(&policy->variable_denies, &policy->variable_deny_capacity,
			    policy->variable_deny_count + 1, sizeof(uint32_t)))
			return -ENOMEM;
		policy->variable_denies[policy->variable_deny_count++] = target.number;
	}
	return failed;
}
