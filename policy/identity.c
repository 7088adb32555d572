/* SPDX-License-Identifier: MIT */
/*
 * identity.c: who a subject is: `subject`, `user`, `group`, `exe`, `unit`, `label`, `via`,
 * `delegate`.
 *
 * A name that does not exist is an error, since a deny for nobody would deny nothing. So are the
 * kernel's ids for "unmapped": whoever has them could be anybody.
 */
#include "compile.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define ID_MAX ((uint64_t)UINT32_MAX - 1) /* (uid_t)-1 is nobody */

static bool is_name(const struct word *word)
{
	for (uint32_t i = 0; i < word->length; i++)
		if (!isalnum((unsigned char)word->text[i]) && !strchr("_.-@", word->text[i]))
			return false;
	return word->length <= 255;
}

int compile_subject(struct compiler *compiler, const struct statement *statement)
{
	struct policy *policy = compiler->policy;
	const struct word *name = &statement->words[1];
	struct table *names = &compiler->subject_names;
	struct subject subject = {.place = compile_place(statement, 1)};
	uint32_t there;
	int status = compile_subject_end(compiler);

	if (status == -ENOMEM)
		return status;
	status = 0;
	if (!is_name(name))
		status = compile_error(compiler, statement, 1,
			"a name has letters, digits and '_', '.', '-', '@'",
			"'%.*s' is no name for a subject", (int)name->length, name->text);
	there = table_find(names, 0, name->text, name->length,
		table_name_hash(names, name->text, name->length));
	if (there)
		status = compile_error(compiler, statement, 1, "a subject stands in one place",
			"the subject '%.*s' is at %s:%u already", (int)name->length, name->text,
			policy->subjects[there - 1].place.source->path,
			policy->subjects[there - 1].place.line);
	subject.name = arena_copy(&policy->arena, name->text, name->length);
	if (!subject.name || !array_reserve(&policy->subjects, &policy->subject_capacity,
				     policy->subject_count + 1, sizeof(subject)))
		return -ENOMEM;
	compiler->subject = (uint32_t)policy->subject_count;
	compiler->identity_failed = false;
	policy->subjects[policy->subject_count++] = subject;
	if (!there && !table_add(names, 0, name->text, name->length, compiler->subject + 1))
		return -ENOMEM;
	return status;
}

int compile_subject_end(struct compiler *compiler)
{
	const struct subject *subject;

	if (compiler->subject == NO_SUBJECT)
		return 0;
	subject = &compiler->policy->subjects[compiler->subject];
	compiler->subject = NO_SUBJECT;
	if (subject->users.count || subject->groups.count || compiler->identity_failed)
		return 0;
	report_error(compiler->diagnostics, &subject->place,
		subject->exes.count || subject->units.count || subject->labels.count ||
				subject->vias.count
			? "exe, unit, label and via only narrow a user or group; 'user *' is everybody"
			: "add a line like 'user NAME'; 'user *' is everybody",
		"the subject '%s' has neither user nor group", subject->name);
	return -EINVAL;
}

static int look_up(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, bool group, uint32_t *id)
{
	const struct policy_environment *environment = compiler->environment;
	const char *kind = group ? "group" : "user";
	struct policy_user user;
	gid_t gid = 0;
	int status;

	status = group ? environment->group_by_name(environment->context, name, &gid)
		       : environment->user_by_name(environment->context, name, &user);
	if (status == -ENOMEM)
		return status;
	if (status == -ENOENT)
		return compile_error(compiler, statement, word,
			group ? "look it up with 'getent group', or give its number"
			      : "look it up with 'getent passwd', or give its number",
			"there is no %s '%s'", kind, name);
	if (status)
		return compile_error(compiler, statement, word, NULL,
			"cannot look up the %s '%s': %s", kind, name, strerror(-status));
	*id = group ? gid : user.uid;
	return 0;
}

static int not_overflow(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool group, uint32_t id)
{
	const struct policy_environment *environment = compiler->environment;

	if (id != (group ? environment->overflow_gid : environment->overflow_uid))
		return 0;
	return compile_error(compiler, statement, word,
		"it stands for everyone who is not mapped, and matches nothing; take another",
		"%u is the kernel's overflow %s", id, group ? "gid" : "uid");
}

static int name_or_number(struct compiler *compiler, const struct statement *statement,
	uint32_t word, const char *name, bool group, uint32_t *id)
{
	uint64_t number;
	int status = 0;

	if (strchr(name, ','))
		return compile_error(compiler, statement, word, "values are separated by blanks",
			"'%s' is no %s", name, group ? "group" : "user");
	if (compile_number(name, strlen(name), ID_MAX, &number))
		*id = (uint32_t)number;
	else if (strspn(name, "0123456789") == strlen(name))
		status = compile_error(compiler, statement, word, NULL, "'%s' is no %s", name,
			group ? "gid" : "uid");
	else
		status = look_up(compiler, statement, word, name, group, id);
	return status ? status : not_overflow(compiler, statement, word, group, *id);
}

int compile_user(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, uid_t *uid)
{
	return name_or_number(compiler, statement, word, name, false, uid);
}

int compile_group(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *name, gid_t *gid)
{
	return name_or_number(compiler, statement, word, name, true, gid);
}

/* "100-200", where that is what it is: 1; 0 where it is something else. */
static int read_range(struct compiler *compiler, const struct statement *statement, uint32_t word,
	const char *text, bool group, struct range *range)
{
	size_t first = strspn(text, "0123456789"), second;
	uint64_t low, high;
	int status;

	if (first == 0 || text[first] != '-')
		return 0;
	second = strspn(text + first + 1, "0123456789");
	if (text[first + 1 + second])
		return 0;
	if (!compile_number(text, first, ID_MAX, &low) ||
		!compile_number(text + first + 1, second, ID_MAX, &high))
		return compile_error(compiler, statement, word, "for example 100000-165535",
			"'%s' is no range", text);
	if (low > high)
		return compile_error(compiler, statement, word, "write the lower number first",
			"the range '%s' holds nothing", text);
	*range = (struct range){(uint32_t)low, (uint32_t)high, text};
	status = not_overflow(compiler, statement, word, group, range->low);
	if (status == 0)
		status = not_overflow(compiler, statement, word, group, range->high);
	return status ? status : 1;
}

static int identity_ids(struct compiler *compiler, const struct statement *statement, uint32_t word,
	bool group, struct ranges *ranges)
{
	struct range range = {0, (uint32_t)ID_MAX, "*"};
	const char *text;
	int status;

	if (!word_is(&statement->words[word], "*")) {
		status = compile_literal(compiler, statement, word,
			group ? "the name of a group" : "the name of a user", &text);
		if (status == 0)
			status = read_range(compiler, statement, word, text, group, &range);
		if (status == 0) {
			status = name_or_number(compiler, statement, word, text, group, &range.low);
			range.high = range.low;
		}
		range.text = text;
		if (status < 0)
			return status;
	}
	if (!array_reserve(&ranges->list, &ranges->capacity, ranges->count + 1, sizeof(range)))
		return -ENOMEM;
	ranges->list[ranges->count++] = range;
	return 0;
}

static int string_add(struct strings *strings, const char *text)
{
	if (!array_reserve(
		    &strings->list, &strings->capacity, strings->count + 1, sizeof(*strings->list)))
		return -ENOMEM;
	strings->list[strings->count++] = text;
	return 0;
}

static int identity_exe(struct compiler *compiler, const struct statement *statement, uint32_t word,
	struct strings *strings)
{
	struct strings *exes = &compiler->policy->exes;
	struct table *names = &compiler->exe_names;
	const char *text;
	uint32_t there;
	int status = compile_literal_path(compiler, statement, word, "an executable", &text);

	if (status)
		return status;
	there = table_find(
		names, 0, text, strlen(text), table_name_hash(names, text, strlen(text)));
	if (there)
		return string_add(strings, exes->list[there - 1]);
	if (exes->count == POLICY_EXES_MAX)
		return compile_error(compiler, statement, word,
			"tell programs apart by unit, or by a socket of their own and via",
			"more than %u different executables", POLICY_EXES_MAX);
	status = string_add(exes, text);
	if (status == 0 && !table_add(names, 0, text, strlen(text), (uint32_t)exes->count))
		status = -ENOMEM;
	return status ? status : string_add(strings, text);
}

static int identity_string(struct compiler *compiler, const struct statement *statement,
	uint32_t word, struct strings *strings)
{
	const char *text;
	size_t length;
	int status = compile_literal(compiler, statement, word, "this", &text);

	if (status)
		return status;
	length = strlen(text);
	if (length == 0)
		return compile_error(compiler, statement, word, NULL, "an empty name");
	if (statement->keyword == KEYWORD_UNIT &&
		(length < 7 || (strcmp(text + length - 6, ".scope") != 0 &&
				       (length < 9 || strcmp(text + length - 8, ".service") != 0))))
		return compile_error(compiler, statement, word, "for example nginx.service",
			"a unit's name ends in .service or .scope");
	if (statement->keyword == KEYWORD_VIA && text[0] != '@' && text[0] != '/' &&
		strncmp(text, "netns:/", 7) != 0 && strncmp(text, "fd:", 3) != 0)
		return compile_error(compiler, statement, word,
			"write it as fdbrokerd's --listen has it: @NAME, /PATH or netns:/FILE/@NAME",
			"'%s' is no address", text);
	return string_add(strings, text);
}

int compile_identity(struct compiler *compiler, const struct statement *statement)
{
	struct subject *subject;
	int status = 0, failed = 0;

	subject = &compiler->policy->subjects[compiler->subject];
	if (statement->keyword == KEYWORD_DELEGATE)
		subject->delegate = true;
	for (uint32_t i = 1; i < statement->count && status != -ENOMEM; i++) {
		switch (statement->keyword) {
		case KEYWORD_USER:
			status = identity_ids(compiler, statement, i, false, &subject->users);
			break;
		case KEYWORD_GROUP:
			status = identity_ids(compiler, statement, i, true, &subject->groups);
			break;
		case KEYWORD_EXE:
			status = identity_exe(compiler, statement, i, &subject->exes);
			break;
		case KEYWORD_UNIT:
			compiler->policy->wants_unit = true;
			status = identity_string(compiler, statement, i, &subject->units);
			break;
		case KEYWORD_LABEL:
			status = identity_string(compiler, statement, i, &subject->labels);
			break;
		default:
			status = identity_string(compiler, statement, i, &subject->vias);
			break;
		}
		if (status)
			failed = status;
	}
	compiler->identity_failed |= failed != 0;
	return failed;
}
