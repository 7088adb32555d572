/* SPDX-License-Identifier: MIT */
/*
 * lint.c: rules that load and yet are not what they seem. Whatever is reported here is certain: a
 * rule is called covered only where its place in the tree shows it, so that a warning is never
 * wrong, though one may be missing.
 */
#include "lint.h"
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

static bool same_strings(const struct strings *a, const struct strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return true;
}

static bool same_ranges(const struct ranges *a, const struct ranges *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->list[i].low != b->list[i].low || a->list[i].high != b->list[i].high)
			return false;
	return true;
}

/* Whether one who matches a subject `other` can fail to match `subject` for want of more than a
 * user: not where both are narrowed alike. */
static bool evades(const struct subject *subject, const struct subject *other)
{
	return (subject->groups.count && !same_ranges(&subject->groups, &other->groups)) ||
	       (subject->exes.count && !same_strings(&subject->exes, &other->exes)) ||
	       (subject->units.count && !same_strings(&subject->units, &other->units)) ||
	       (subject->labels.count && !same_strings(&subject->labels, &other->labels)) ||
	       (subject->vias.count && !same_strings(&subject->vias, &other->vias));
}

/* Subjects that are compared for one, at most. */
#define SUBJECTS_MAX 100u

/* Whether a subject that can be matched without this one allows any of the rights. */
static bool can_be_evaded(const struct lint *lint, uint32_t subject, uint32_t rights,
	const uint32_t *allowers, size_t allower_count, const uint32_t *allowed)
{
	const struct policy *policy = lint->policy;

	for (size_t i = 0; i < allower_count; i++)
		if (allowers[i] != subject && allowed[allowers[i]] & rights &&
			evades(&policy->subjects[subject], &policy->subjects[allowers[i]]))
			return true;
	return false;
}

static void lint_subjects(struct lint *lint)
{
	const struct policy *policy = lint->policy;
	unsigned char *used = calloc(policy->subject_count + 1, 1);
	uint32_t *allowed = calloc(policy->subject_count + 1, sizeof(*allowed));
	uint32_t allowers[SUBJECTS_MAX];
	size_t allower_count = 0;

	for (uint32_t i = 0; used && allowed && i < policy->rule_count; i++) {
		const struct rule *rule = &policy->rules[i];

		if (rule->deny)
			continue;
		if (!allowed[rule->subject] && allower_count < SUBJECTS_MAX)
			allowers[allower_count++] = rule->subject;
		allowed[rule->subject] |= rule->rights;
	}
	for (uint32_t i = 0; used && allowed && i < policy->rule_count; i++) {
		const struct rule *rule = &policy->rules[i];

		used[rule->subject] = 1;
		if (rule->deny && is_narrowed(&policy->subjects[rule->subject]) &&
			can_be_evaded(lint, rule->subject, rule->rights, allowers, allower_count,
				allowed))
			warn(lint, i, "deny it in a subject that has only `user` lines",
				"a caller evades this deny by not being in the group, or not running the program",
				NULL);
	}
	for (size_t i = 0; used && allowed && i < policy->subject_count; i++)
		if (!used[i])
			report_warning(lint->diagnostics, &policy->subjects[i].place, NULL,
				"the subject '%s' has no rule", policy->subjects[i].name);
	free(used);
	free(allowed);
}

/* Whether `rule` gives nothing that `other`, which matches wherever it does, does not give as well.
 */
static bool is_covered(const struct rule *rule, const struct rule *other)
{
	return rule != other && !(rule->rights & ~other->rights) && rule->types == other->types &&
	       rule->exec == other->exec && rule->mode == other->mode &&
	       rule->owner == other->owner && rule->group == other->group &&
	       rule->timeout == other->timeout && rule->idmap == other->idmap &&
	       rule->idmap_from == other->idmap_from && rule->idmap_to == other->idmap_to &&
	       rule->idmap_count == other->idmap_count;
}

/*
 * What stands against, or instead of, the allows: for each its nodes that are covered, each of them
 * once, by how many rules ever, and by which.
 */
struct cover {
	uint32_t *
		counts; /* nodes of each rule: one of several may be covered without the rule being of no use */
	uint32_t *covered; /* of them */
	uint32_t *by;	   /* each rule: the first that covers any, + 1 */
	bool *several;	   /* ... and another one covers more */
	bool *nodes;	   /* of policy->allow_nodes */
};

static void cover_free(struct cover *cover)
{
	free(cover->counts);
	free(cover->covered);
	free(cover->by);
	free(cover->several);
	free(cover->nodes);
}

static bool cover_init(struct cover *cover, const struct policy *policy)
{
	size_t rules = policy->rule_count + 1;

	*cover = (struct cover){calloc(rules, sizeof(uint32_t)), calloc(rules, sizeof(uint32_t)),
		calloc(rules, sizeof(uint32_t)), calloc(rules, sizeof(bool)),
		calloc(policy->allow_nodes.count + 1, sizeof(bool))};
	if (!cover->counts || !cover->covered || !cover->by || !cover->several || !cover->nodes)
		return false;
	for (size_t i = 0; i < policy->allow_nodes.count; i++)
		cover->counts[policy->allow_nodes.list[i].rule]++;
	return true;
}

/* The i-th node is covered. True where its rule now is, all of it. */
static bool cover_add(struct cover *cover, const struct policy *policy, size_t i, uint32_t by)
{
	uint32_t rule = policy->allow_nodes.list[i].rule;

	if (cover->nodes[i])
		return false;
	cover->nodes[i] = true;
	if (!cover->by[rule])
		cover->by[rule] = by + 1;
	cover->several[rule] |= cover->by[rule] != by + 1;
	return ++cover->covered[rule] == cover->counts[rule];
}

static void lint_denied(struct lint *lint, struct cover *cover)
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

			/* What is left may be no more than stat: that is something. */
			if (policy->rules[rule].rights & ~policy->rules[deny->rule].rights)
				continue;
			if (cover_add(cover, policy, at, deny->rule))
				warn(lint, rule,
					"a deny beats every allow: take out one of the two",
					cover->several[rule]
						? "nothing can match this rule: it is denied by several, one of them at"
						: "nothing can match this rule: it is denied at",
					&policy->rules[cover->by[rule] - 1]);
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

static void lint_covered(struct lint *lint, struct cover *cover, size_t at, uint32_t by)
{
	const struct policy *policy = lint->policy;
	uint32_t rule = policy->allow_nodes.list[at].rule;

	if (is_covered(&policy->rules[rule], &policy->rules[by]) &&
		cover_add(cover, policy, at, by))
		warn(lint, rule, NULL,
			cover->several[rule]
				? "this rule says nothing that others do not say, one of them at"
				: "this rule says nothing that is not said at",
			&policy->rules[cover->by[rule] - 1]);
}

static void lint_allowed(struct lint *lint, struct cover *cover)
{
	const struct policy *policy = lint->policy;
	const struct subject_nodes *allows = &policy->allow_nodes;
	uint32_t root = policy->tree.roots[TREE_FILES];

	for (size_t i = 0; i < allows->count; i++) {
		const struct subject_node *wide = &allows->list[i];
		uint32_t above, end;
		size_t at;

		if (wide->node == root &&
			policy->rules[wide->rule].rights & (POLICY_TREE | POLICY_WRITE_TREE))
			warn(lint, wide->rule, "name the directories that are needed",
				"this rule grants every file there is", NULL);
		/* The same pattern twice; entries of one node and subject are neighbours. */
		for (at = i + 1; at < allows->count && allows->list[at].subject == wide->subject &&
				 allows->list[at].node == wide->node && lint->pairs++ < PAIRS_MAX;
			at++)
			lint_covered(lint, cover, at, wide->rule);
		if (!is_everything(&policy->tree, wide->node, &above))
			continue;
		if (above == root)
			warn(lint, wide->rule, "name the directories that are needed",
				"this rule grants every file there is", NULL);
		end = policy->tree.nodes[above].end;
		for (at = beneath_first(allows, wide->subject, above + 1);
			at < allows->count && allows->list[at].subject == wide->subject &&
			allows->list[at].node < end && lint->pairs++ < PAIRS_MAX;
			at++)
			if (allows->list[at].node != wide->node)
				lint_covered(lint, cover, at, wide->rule);
	}
}

int policy_lint(const struct policy *policy, struct policy_diagnostics *diagnostics)
{
	struct lint lint = {policy, diagnostics, calloc(policy->rule_count + 1, 1), 0};
	struct cover denied = {0}, allowed = {0};
	int status = -ENOMEM;

	if (lint.told && cover_init(&denied, policy) && cover_init(&allowed, policy)) {
		lint_subjects(&lint);
		lint_denied(&lint, &denied);
		lint_allowed(&lint, &allowed);
		report_sort(diagnostics);
		status = report_short(diagnostics) ? -ENOMEM : 0;
	}
	free(lint.told);
	cover_free(&denied);
	cover_free(&allowed);
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

void policy_warn_prefix(const struct policy *policy, struct policy_diagnostics *diagnostics,
	const struct policy_prefix *prefix, const char *hint, const char *message)
{
	struct place place = {policy->sources[0], prefix->line, prefix->column, prefix->length};

	for (size_t i = 0; i < policy->source_count; i++)
		if (policy->sources[i]->path == prefix->file)
			place.source = policy->sources[i];
	report_warning(diagnostics, &place, hint, "%s", message);
	report_sort(diagnostics);
}
