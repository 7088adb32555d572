/* SPDX-License-Identifier: MIT */
/*
 * pattern.h: one expanded pattern: its components, and how a component matches a name.
 */
#ifndef POLICY_PATTERN_H
#define POLICY_PATTERN_H

#include "word.h"

#include <stdint.h>

enum component_kind {
	COMPONENT_LITERAL, /* its bytes are the name */
	COMPONENT_WILD,	   /* its bytes are code for component_match */
	COMPONENT_DEPTH,   /* "**": zero or more components */
	COMPONENT_HOME,	   /* %h, always the first: the components of the caller's home */
};

struct component {
	enum component_kind kind;
	uint32_t offset, length; /* in the pattern's bytes */
};

enum { VARIABLE_USER = 1, VARIABLE_UID = 2, VARIABLE_HOME = 4 };

/*
 * A pattern whose last component is `**` has a `*` behind it, so that `**` itself always means zero
 * or more, and two in a row are one.
 */
struct pattern {
	struct component *components;
	size_t count, capacity;
	char *bytes;
	size_t used, room;
	unsigned int variables;
	bool wild; /* any wildcard; a variable is none */
	uint32_t wild_column;
};

void pattern_free(struct pattern *pattern);

/*
 * Reads atoms (expanded) into `pattern`, whose memory is used again. `place` says where they stand,
 * up to the column. 0, -EINVAL (reported) or -ENOMEM.
 */
int pattern_parse_path(struct pattern *pattern, const struct atom *atoms, size_t count,
	const struct place *place, struct policy_diagnostics *diagnostics);
/* The same for a name in which '/' is a byte like any other: the pattern has one component. */
int pattern_parse_name(struct pattern *pattern, const struct atom *atoms, size_t count,
	const struct place *place, struct policy_diagnostics *diagnostics);

/*
 * How many leading components have no wildcard: the directory that all of one caller's matches lie in. Never the
 * last component, unless that is all there is and %h: what a home lies in is not known by its pattern.
 */
size_t pattern_anchor(const struct pattern *pattern);
/* Whether any of the first `depth` components has a variable. */
bool pattern_varies(const struct pattern *pattern, size_t depth);

/* The first `depth` components, which are literal, as a path. NULL where memory is short. */
char *pattern_literal(const struct pattern *pattern, size_t depth, struct arena *arena);

/*
 * Writes the first `depth` components, which have no wildcard, as text: variables as %u, %U and %h, the character
 * as %%. At most `size` bytes; false where it is longer.
 */
bool pattern_print(const struct pattern *pattern, size_t depth, char *buffer, size_t size);

/* A caller's values. A caller without one has NULL there. */
struct values {
	const char *user, *uid, *home;
	size_t user_length, uid_length, home_length;
	size_t home_depth; /* its components */
};

/*
 * Whether a COMPONENT_WILD of `size` bytes of code matches a name. At worst quadratic: only the
 * last '*' is ever tried again.
 */
bool component_match(const unsigned char *code, size_t size, const char *name, size_t length,
	const struct values *values);

/* Whether it matches every name: a `*` alone. */
bool component_is_any(const unsigned char *code, size_t size);

#endif
