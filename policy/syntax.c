/* SPDX-License-Identifier: MIT */
/*
 * syntax.c: see syntax.h. One statement is one line. After a mistake reading goes on where a person
 * would go on, so that one missing brace is one error and not one for each line behind it.
 */
#include "syntax.h"

#include "suggest.h"

#include <errno.h>
#include <string.h>

static const struct keyword_rule {
	const char *name;
	uint32_t least, most; /* words behind it; 0: any number */
	const char *usage;
} keywords[KEYWORD_COUNT] = {
	[KEYWORD_INCLUDE] = {"include", 1, 1, "include FILE-OR-GLOB"},
	[KEYWORD_MAP] = {"map", 2, 2, "map FROM TO"},
	[KEYWORD_DEFINE] = {"define", 2, UINT32_MAX, "define NAME VALUE..."},
	[KEYWORD_SUBJECT] = {"subject", 1, UINT32_MAX, "subject NAME {"},
	[KEYWORD_EXPECT] = {"expect", 4, UINT32_MAX,
		"expect allow|deny user NAME [group NAME] RIGHTS PATH..."},
	[KEYWORD_USER] = {"user", 1, UINT32_MAX, "user NAME|UID|UID-UID|*..."},
	[KEYWORD_GROUP] = {"group", 1, UINT32_MAX, "group NAME|GID|GID-GID|*..."},
	[KEYWORD_EXE] = {"exe", 1, UINT32_MAX, "exe PATH..."},
	[KEYWORD_UNIT] = {"unit", 1, UINT32_MAX, "unit NAME.service..."},
	[KEYWORD_LABEL] = {"label", 1, UINT32_MAX, "label LABEL..."},
	[KEYWORD_VIA] = {"via", 1, UINT32_MAX, "via ADDRESS..."},
	[KEYWORD_DELEGATE] = {"delegate", 0, 0, "delegate"},
	[KEYWORD_ALLOW] = {"allow", 2, UINT32_MAX, "allow RIGHTS PATTERN... [OPTION]..."},
	[KEYWORD_DENY] = {"deny", 2, UINT32_MAX, "deny RIGHTS|all PATTERN..."},
	[KEYWORD_LIMIT] = {"limit", 2, 4, "limit KIND NUMBER|none [total]"},
	[KEYWORD_LOG] = {"log", 1, 1, "log grants"},
	[KEYWORD_END] = {"}", 0, 0, "}"},
};

enum keyword keyword_find(const struct word *word)
{
	for (unsigned int i = 0; i < KEYWORD_COUNT; i++)
		if (word_is(word, keywords[i].name))
			return (enum keyword)i;
	return KEYWORD_COUNT;
}

const char *keyword_name(enum keyword keyword)
{
	return keywords[keyword].name;
}

void syntax_init(struct syntax *syntax, const struct source *source, struct arena *arena,
	struct policy_diagnostics *diagnostics)
{
	memset(syntax, 0, sizeof(*syntax));
	lexer_init(&syntax->lexer, source, arena, diagnostics);
}

void syntax_done(struct syntax *syntax)
{
	lexer_done(&syntax->lexer);
}

#define error_at(syntax, line, word, hint, ...)                                        \
	do {                                                                           \
		struct place place_ = word_place((syntax)->lexer.source, line, word);  \
		report_error((syntax)->lexer.diagnostics, &place_, hint, __VA_ARGS__); \
	} while (0)

static void not_closed(struct syntax *syntax)
{
	const struct statement *subject = &syntax->subject;
	const struct word *name = &subject->words[subject->count > 1 ? 1 : 0];

	error_at(syntax, subject->line, name, "end it with a '}' on a line of its own",
		"the subject '%.*s' is not closed", (int)name->length, name->text);
	syntax->subject.count = 0;
}

static void unknown_keyword(struct syntax *syntax, const struct line *line)
{
	const struct word *word = &line->words[0];
	struct suggest suggest;
	char hint[SUGGEST_BUFFER];

	suggest_init(&suggest, word->text, word->length);
	for (unsigned int i = 0; i < KEYWORD_END; i++)
		suggest_try(&suggest, keywords[i].name);
	error_at(syntax, line->number, word, suggest_hint(&suggest, hint),
		"unknown statement '%.*s'", (int)word->length, word->text);
}

/* The `{` of a subject's line. */
static bool subject_opens(struct syntax *syntax, struct statement *statement)
{
	struct word *last = &statement->words[statement->count - 1];
	bool usable = true;

	syntax->brace_missing = false;
	if (syntax->subject.count)
		not_closed(syntax);
	if (statement->count > 1 && word_is(last, "{")) {
		statement->count--;
	} else {
		struct place place = word_place(syntax->lexer.source, statement->line, last);
		bool joined = last->text[last->length - 1] == '{';

		place.column += joined ? last->length - 1 : last->length;
		place.length = 1;
		report_error(syntax->lexer.diagnostics, &place,
			joined ? "put a space before it" : "the line ends in ' {'",
			joined ? "the '{' is part of the name" : "a '{' is missing");
		syntax->brace_missing = !joined;
		last->length -= joined;
		usable = false;
	}
	if (statement->count < 2) {
		error_at(
			syntax, statement->line, last, "subject NAME {", "the subject has no name");
		usable = false;
	} else if (statement->count > 2) {
		error_at(syntax, statement->line, &statement->words[2], "subject NAME {",
			"a subject has one name");
		usable = false;
	}
	syntax->subject = *statement;
	return usable;
}

/* `subject NAME { user ...`: one mistake, whatever else the line says. */
static bool on_one_line(struct syntax *syntax, const struct statement *statement)
{
	const struct word *last = &statement->words[statement->count - 1];

	if (statement->count < 4 || !word_is(&statement->words[2], "{"))
		return false;
	if (syntax->subject.count)
		not_closed(syntax);
	error_at(syntax, statement->line, &statement->words[3],
		"write each statement, and the '}', on a line of its own",
		"something behind the '{'");
	syntax->skipping = !word_is(last, "}");
	return true;
}

/* Whether a statement may stand where it does, with as many words as it has. */
static bool check_place(struct syntax *syntax, const struct statement *statement)
{
	const struct keyword_rule *rule = &keywords[statement->keyword];
	const struct word *word = &statement->words[0];
	uint32_t behind = statement->count - 1;

	if (statement->keyword == KEYWORD_END && !syntax->subject.count) {
		error_at(syntax, statement->line, word, NULL, "a '}' without a subject");
		return false;
	}
	if (statement->keyword >= KEYWORD_USER && !syntax->subject.count) {
		error_at(syntax, statement->line, word, "write it between 'subject NAME {' and '}'",
			"'%s' outside a subject", rule->name);
		return false;
	}
	if (statement->keyword < KEYWORD_SUBJECT && syntax->subject.count) {
		error_at(syntax, statement->line, word,
			"write it outside, or close the subject before", "'%s' within a subject",
			rule->name);
		return false;
	}
	if (statement->keyword == KEYWORD_EXPECT && syntax->subject.count) {
		error_at(syntax, statement->line, word,
			"write it outside, or close the subject before",
			"'expect' within a subject");
		return false;
	}
	if (statement->keyword == KEYWORD_SUBJECT)
		return true;
	if (behind < rule->least) {
		struct place place = word_place(
			syntax->lexer.source, statement->line, &statement->words[behind]);

		place.column += place.length;
		place.length = 1;
		report_error(syntax->lexer.diagnostics, &place, rule->usage,
			"something is missing behind '%s'", rule->name);
		return false;
	}
	if (behind > rule->most) {
		error_at(syntax, statement->line, &statement->words[rule->most + 1], rule->usage,
			"too much behind '%s'", rule->name);
		return false;
	}
	return true;
}

int syntax_next(struct syntax *syntax, struct statement *statement)
{
	struct line line;
	int status;

	for (;;) {
		status = lexer_next(&syntax->lexer, &line);
		if (status == 0 && syntax->subject.count)
			not_closed(syntax);
		if (status == 0 || status == -ENOMEM)
			return status;
		if (status < 0 || line.count == 0)
			continue;
		/* A '{' that stands alone was missed one line before. */
		if (word_is(&line.words[0], "{") && line.count == 1 && syntax->brace_missing) {
			syntax->brace_missing = false;
			continue;
		}
		syntax->brace_missing = false;
		if (syntax->skipping) {
			syntax->skipping = !word_is(&line.words[0], "}");
			continue;
		}
		*statement = (struct statement){syntax->lexer.source, line.number,
			keyword_find(&line.words[0]), line.count, line.words};
		if (statement->keyword == KEYWORD_COUNT) {
			unknown_keyword(syntax, &line);
			syntax->skipping = line.count > 1 && !syntax->subject.count &&
					   word_is(&line.words[line.count - 1], "{");
			continue;
		}
		if (statement->keyword == KEYWORD_SUBJECT && on_one_line(syntax, statement))
			continue;
		if (!check_place(syntax, statement)) {
			if (statement->keyword == KEYWORD_END)
				syntax->subject.count = 0;
			continue;
		}
		if (statement->keyword == KEYWORD_END)
			syntax->subject.count = 0;
		if (statement->keyword == KEYWORD_SUBJECT && !subject_opens(syntax, statement) &&
			statement->count < 2)
			continue;
		return 1;
	}
}
