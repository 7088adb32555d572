/* SPDX-License-Identifier: MIT */
/*
 * modifier.c: the options behind the patterns of an allow.
 */
#include "compile.h"
#include "rights.h"

#include <errno.h>
#include <string.h>

/* An option's arguments: `word` is the option itself; *next is left behind what it took. */
typedef int read_modifier(struct compiler *compiler, const struct statement *statement,
	uint32_t word, struct rule *rule, uint32_t *next);

static int argument(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *example, uint32_t *next, const char **text)
{
	if (*next >= statement->count) {
		struct place place = compile_place(statement, word);

		place.column += place.length;
		place.length = 1;
		report_error(compiler->diagnostics, &place, example,
			"something is missing behind '%.*s'", (int)statement->words[word].length,
			statement->words[word].text);
		return -EINVAL;
	}
	return compile_literal(compiler, statement, (*next)++, "an option", text);
}

static int read_mode(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	const char *text;
	unsigned int mode = 0;
	size_t i;
	int status = argument(compiler, statement, word, "for example 'mode 0640'", next, &text);

	if (status)
		return status;
	for (i = 0; text[i] >= '0' && text[i] <= '7' && mode < 010000; i++)
		mode = mode * 8 + (unsigned int)(text[i] - '0');
	if (i == 0 || text[i])
		return compile_error(compiler, statement, *next - 1, "for example 0640",
			"'%s' is no octal mode", text);
	if (mode > 0777)
		return compile_error(compiler, statement, *next - 1,
			"set-uid, set-gid and sticky bits are never given", "a mode above 0777");
	rule->mode = mode;
	return 0;
}

static int read_owner(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	const char *text;
	char *colon;
	int status = argument(compiler, statement, word,
		"for example 'owner caller' or 'owner logs:adm'", next, &text);

	if (status)
		return status;
	colon = strchr(text, ':');
	if (colon)
		*colon = '\0';
	if (strcmp(text, "caller") != 0)
		status = compile_user(compiler, statement, *next - 1, text, &rule->owner);
	if (status == 0 && colon && strcmp(colon + 1, "caller") != 0)
		status = compile_group(compiler, statement, *next - 1, colon + 1, &rule->group);
	return status;
}

static const struct type_name {
	const char *name;
	uint32_t type;
} type_names[] = {
	{"chardev", POLICY_TYPE_CHARDEV},
	{"blockdev", POLICY_TYPE_BLOCKDEV},
	{"fifo", POLICY_TYPE_FIFO},
};

static uint32_t type_by_name(const char *name, size_t length, struct suggest *suggest)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
		if (strlen(type_names[i].name) == length &&
			memcmp(type_names[i].name, name, length) == 0)
			return type_names[i].type;
		suggest_try(suggest, type_names[i].name);
	}
	return 0;
}

static int read_type(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	const char *text;
	char hint[SUGGEST_BUFFER];
	struct suggest suggest;
	int status = argument(compiler, statement, word, "for example 'type chardev'", next, &text);

	while (status == 0) {
		size_t length = strcspn(text, ",");
		uint32_t type;

		suggest_init(&suggest, text, length);
		type = type_by_name(text, length, &suggest);
		if (!type)
			return compile_error(compiler, statement, *next - 1,
				suggest.best ? suggest_hint(&suggest, hint)
					     : "there are chardev, blockdev and fifo",
				"unknown type '%.*s'", (int)length, text);
		rule->types |= type;
		if (!text[length])
			break;
		text += length + 1;
	}
	return status;
}

static int read_exec(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	(void)compiler;
	(void)statement;
	(void)word;
	(void)next;
	rule->exec = true;
	return 0;
}

static int read_any_peer(struct compiler *compiler, const struct statement *statement,
	uint32_t word, struct rule *rule, uint32_t *next)
{
	(void)compiler;
	(void)statement;
	(void)word;
	(void)next;
	rule->any_peer = true;
	return 0;
}

/* `idmap FROM caller` or `idmap FROM TO COUNT`. */
static int read_idmap(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	static const char example[] = "for example 'idmap 0 caller' or 'idmap 0 100000 65536'";
	const char *from, *to, *count;
	uint64_t first, second, many = 1;
	int status = argument(compiler, statement, word, example, next, &from);

	if (status == 0)
		status = argument(compiler, statement, word, example, next, &to);
	if (status)
		return status;
	if (!compile_number(from, strlen(from), UINT32_MAX - 1, &first))
		return compile_error(
			compiler, statement, *next - 2, example, "'%s' is no id", from);
	rule->idmap = true;
	rule->idmap_from = (uint32_t)first;
	rule->idmap_to = POLICY_OWNER_CALLER;
	rule->idmap_count = 1;
	if (rule->written & POLICY_WRITE_TREE)
		return compile_error(compiler, statement, word,
			"its holder could leave a set-uid file of root's behind",
			"'idmap' is only for a tree that cannot be written");
	if (strcmp(to, "caller") == 0)
		return 0;
	if (!compile_number(to, strlen(to), UINT32_MAX - 1, &second))
		return compile_error(compiler, statement, *next - 1, example, "'%s' is no id", to);
	status = argument(compiler, statement, word, example, next, &count);
	if (status)
		return status;
	if (!compile_number(count, strlen(count), UINT32_MAX, &many) || many == 0 ||
		first + many > UINT32_MAX || second + many > UINT32_MAX)
		return compile_error(compiler, statement, *next - 1, example,
			"'%s' is no number of ids that fits", count);
	rule->idmap_to = (uint32_t)second;
	rule->idmap_count = (uint32_t)many;
	return 0;
}

static int read_timeout(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule, uint32_t *next)
{
	const char *text;
	uint64_t seconds;
	int status = argument(compiler, statement, word, "for example 'timeout 5'", next, &text);

	if (status)
		return status;
	if (!compile_number(text, strlen(text), POLICY_TIMEOUT_MAX, &seconds) || seconds == 0)
		return compile_error(compiler, statement, *next - 1, "for example 'timeout 5'",
			"'%s' is no number of seconds from 1 to %u", text, POLICY_TIMEOUT_MAX);
	rule->timeout = (uint32_t)seconds;
	return 0;
}

#define CREATING (POLICY_CREATE | POLICY_MKDIR | POLICY_BIND)
#define OPENING                                                                     \
	(POLICY_READ | POLICY_WRITE | POLICY_CREATE | POLICY_APPEND | POLICY_TREE | \
		POLICY_WRITE_TREE)

static const struct modifier {
	const char *name;
	read_modifier *read;
	uint32_t rights; /* it has a meaning with any of these */
	const char *needs;
} modifiers[] = {
	{"mode", read_mode, CREATING, "create, mkdir or bind"},
	{"owner", read_owner, CREATING, "create, mkdir or bind"},
	{"type", read_type, OPENING, "read, write or create"},
	{"exec", read_exec, OPENING, "read, write, create or a tree"},
	{"idmap", read_idmap, POLICY_TREE | POLICY_WRITE_TREE, "tree"},
	{"any-peer", read_any_peer, POLICY_CONNECT | POLICY_BIND, "connect or bind"},
	{"timeout", read_timeout, RIGHTS_ALL, NULL},
};

#define MODIFIER_COUNT (sizeof(modifiers) / sizeof(modifiers[0]))

static const struct modifier *find(const struct word *word, struct suggest *suggest)
{
	suggest_init(suggest, word->text, word->length);
	for (size_t i = 0; i < MODIFIER_COUNT; i++) {
		if (word_is(word, modifiers[i].name))
			return &modifiers[i];
		suggest_try(suggest, modifiers[i].name);
	}
	return NULL;
}

int compile_modifiers(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct rule *rule)
{
	struct suggest suggest;
	char hint[SUGGEST_BUFFER];
	unsigned int seen = 0;
	int failed = 0;

	while (word < statement->count) {
		const struct word *name = &statement->words[word];
		const struct modifier *modifier = find(name, &suggest);
		uint32_t next = word + 1;
		int status = 0;

		if (!modifier && (memchr(name->text, '/', name->length) || name->text[0] == '$'))
			return compile_error(compiler, statement, word, NULL,
				"patterns stand before the options");
		/* What follows an unknown option cannot be told. */
		if (!modifier)
			return compile_error(compiler, statement, word,
				suggest.best
					? suggest_hint(&suggest, hint)
					: "a path begins with '/'; options are mode, owner, type, "
					  "exec, idmap, any-peer and timeout",
				"unknown option '%.*s'", (int)name->length, name->text);
		if (rule->deny)
			return compile_error(compiler, statement, word,
				"a deny takes everything away, whatever it is",
				"a deny has no options");
		if (seen & 1u << (modifier - modifiers))
			status = compile_error(compiler, statement, word, NULL,
				"the option '%s' is there twice", modifier->name);
		else if (!(rule->written & modifier->rights))
			status = compile_error(compiler, statement, word, NULL,
				"'%s' has no meaning without %s", modifier->name, modifier->needs);
		seen |= 1u << (modifier - modifiers);
		if (status)
			failed = status;
		status = modifier->read(compiler, statement, word, rule, &next);
		if (status == -ENOMEM)
			return status;
		if (status)
			failed = status;
		word = next;
	}
	return failed;
}
