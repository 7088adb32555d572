/* SPDX-License-Identifier: MIT */
/*
 * log.c: `log`: what of a subject's doings is recorded besides what is denied.
 */
#include "compile.h"

#include <errno.h>

int compile_log(struct compiler *compiler, const struct statement *statement)
{
	const struct word *word = &statement->words[1];

	if (!word_is(word, "grants"))
		return compile_error(compiler, statement, 1,
			"'log grants'; denials are recorded in any case",
			"'%.*s' cannot be recorded", (int)word->length, word->text);
	compiler->policy->subjects[compiler->subject].logs_grants = true;
	return 0;
}

bool policy_caller_logs_grants(const struct policy_caller *caller)
{
	return caller->logs_grants;
}
