/* SPDX-License-Identifier: MIT */
/*
 * lint.c: rules that load and yet are not what they seem. Whatever is reported here is certain: a
 * rule is called covered only where its place in the tree shows it, so that a warning is never
 * wrong, though one may be missing.
 */
#include "beneath.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pairs of rules that are compared, at most: a lint must end. */
#define PAIRS_MAX 10000000u

struct lint {
	const struct policy *policy;
	struct policy_diagnostics *diagnostics;
	unsigned char *told; /* of each rule: it was reported */
	size_t pairs;
};

static struct place rule_place(const struct rule *rule)
{
	return (struct place){rule->source, rule->place.line, rule->column, rule->deny ? 4u : 5u};
}

static void warn(struct lint *lint, uint32_t rule, const char *hint, const char *message,
	const struct rule *other)
{
	struct place place = rule_place(&lint->policy->rules[rule]);

	if (lint->told[rule])
		return;
	lint->told[rule] = 1;
	if (other)
		report_warning(lint->diagnostics, &place, hint, "%s %s:%u", message,
			other->place.file, other->place.line);
	else
		report_warning(lint->diagnostics, &place, hint, "%s", message);
}

static bool is_narrowed(const struct subject *subject)
{
	return subject->groups.count || subject->exes.count || subject->units.count ||
	       subject->labels.count || subject->vias.count;
}

static void lint_subjects(struct lint *lint)
{
	const struct policy *policy = lint->policy;
	unsigned char *used = calloc(policy->subject_count + 1, 1);
	uint32_t allower = NO_RULE; /* the one subject that allows anything, or... */
	bool several = false;	    /* ... several do */

	if (!used)
		return;
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		if (policy->rules[i].deny)
			continue;
		several |= allower != NO_RULE && allower != policy->rules[i].subject;
		allower = policy->rules[i].subject;
	}
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		const struct rule *rule = &policy->rules[i];

		used[rule->subject] = 1;
		/* Who does not match the only subject that allows anything evades nothing. */
		if (rule->deny && (several || allower != rule->subject) &&
			is_narrowed(&policy->subjects[rule->subject]))
			warn(lint, i, "deny it in a subject that has only `user` lines",
				"a caller evades this deny by not being in the group, or not running the program",
				NULL);
	}
	for (size_t i = 0; i < policy->subject_count; i++)
		if (!used[i])
			report_warning(lint->diagnostics, &policy->subjects[i].place, NULL,
				"the subject '%s' has no rule", policy->subjects[i].name);
	free(used);
}

/* Whether `rule` gives nothing that `other`, which matches wherever it does, does not give as well.
 */
static bool is_covered(const struct rule *rule, const struct rule *other)
{
	return rule != other && !(rule->rights & ~other->rights) && rule->types == other->types &&
	       rule->exec == other->exec && rule->mode == other->mode &&
	       rule->owner == other->owner && rule->group == other->group &&
	       rule->idmap == other->idmap;
}

/* How many patterns each rule has: one of several may be covered without the rule being of no use.
 */
static void count_patterns(const struct policy *policy, uint32_t *counts)
{
	for (size_t i = 0; i < policy->allow_nodes.count; i++)
		counts[policy->allow_nodes.list[i].rule]++;
}

static void lint_denied(struct lint *lint, const uint32_t *counts, uint32_t *covered)
{
	const struct policy *policy = lint->policy;
	const struct subject_nodes *allows = &policy->allow_nodes;

	for (size_t i = 0; i < policy->deny_nodes.count; i++) {
		const struct subject_node *deny = &policy->deny_nodes.list[i];
		uint32_t end = policy->tree.nodes[deny->node].end;
		size_t at = beneath_first(allows, deny->subject, deny->node);

		for (; at < allows->count && allows->list[at].subject == deny->subject &&
			allows->list[at].node < end && lint->pairs++ < PAIRS_MAX;
			at++) {
			uint32_t rule = allows->list[at].rule;

			if (policy->rules[rule].written & ~policy->rules[deny->rule].rights)
				continue;
			if (++covered[rule] == counts[rule])
				warn(lint, rule,
					"a deny beats every allow: take out one of the two",
					"nothing can match this rule: it is denied at",
					&policy->rules[deny->rule]);
		}
	}
}

/* Whether a node stands for all there is beneath another: the `*` at the end of a `**`. */
static bool is_everything(const struct tree *tree, uint32_t node, uint32_t *above)
{
	uint32_t depth = tree->parents[node];
	const struct tree_node *parent = &tree->nodes[depth];

	if (!(parent->flags & NODE_DEPTH))
		return false;
	for (uint32_t i = 0; i < parent->wild_count; i++) {
		const struct tree_wild *wild = &tree->wilds[parent->wild + i];

		if (wild->child == node && component_is_any(tree->codes + wild->code, wild->size)) {
			*above = tree->parents[depth];
			return true;
		}
	}
	return false;
}

static void lint_allowed(struct lint *lint, const uint32_t *counts, uint32_t *covered)
{
	const struct policy *policy = lint->policy;
	const struct subject_nodes *allows = &policy->allow_nodes;

	for (size_t i = 0; i < allows->count; i++) {
		const struct subject_node *wide = &allows->list[i];
		const struct rule *rule = &policy->rules[wide->rule];
		uint32_t above, end;
		size_t at;

		/* The same pattern twice; entries of one node and subject are neighbours. */
		for (at = i + 1; at < allows->count && allows->list[at].subject == wide->subject &&
				 allows->list[at].node == wide->node && lint->pairs++ < PAIRS_MAX;
			at++) {
			uint32_t other = allows->list[at].rule;

			if (is_covered(&policy->rules[other], rule) &&
				++covered[other] == counts[other])
				warn(lint, other, NULL,
					"this rule says nothing that is not said at", rule);
		}
		if (!is_everything(&policy->tree, wide->node, &above))
			continue;
		if (above == policy->tree.roots[TREE_FILES])
			warn(lint, wide->rule, "name the directories that are needed",
				"this rule grants every file there is", NULL);
		end = policy->tree.nodes[above].end;
		for (at = beneath_first(allows, wide->subject, above + 1);
			at < allows->count && allows->list[at].subject == wide->subject &&
			allows->list[at].node < end && lint->pairs++ < PAIRS_MAX;
			at++) {
			uint32_t other = allows->list[at].rule;

			if (allows->list[at].node != wide->node &&
				is_covered(&policy->rules[other], rule) &&
				++covered[other] == counts[other])
				warn(lint, other, NULL,
					"this rule says nothing that is not said at", rule);
		}
	}
}

int policy_lint(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	struct lint lint = {policy, diagnostics, calloc(policy->rule_count + 1, 1), 0};
	uint32_t *counts = calloc(policy->rule_count + 1, sizeof(*counts));
	uint32_t *denied = calloc(policy->rule_count + 1, sizeof(*denied));
	uint32_t *allowed = calloc(policy->rule_count + 1, sizeof(*allowed));
	int status = -ENOMEM;

	if (lint.told && counts && denied && allowed) {
		count_patterns(policy, counts);
		lint_subjects(&lint);
		lint_denied(&lint, counts, denied);
		lint_allowed(&lint, counts, allowed);
		report_sort(diagnostics);
		status = report_short(diagnostics) ? -ENOMEM : 0;
	}
	free(lint.told);
	free(counts);
	free(denied);
	free(allowed);
	return status;
}

void policy_warn(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const char *file, unsigned int line, const char *hint, const char *message)
{
	struct place place = {policy->sources[0], line, 0, 0};

	for (size_t i = 0; i < policy->source_count; i++)
		if (strcmp(policy->sources[i]->path, file) == 0)
			place.source = policy->sources[i];
	report_warning(diagnostics, &place, hint, "%s", message);
	report_sort(diagnostics);
}
