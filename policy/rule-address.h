/* SPDX-License-Identifier: MIT */
/*
 * rule-address.h: rules about addresses: unix:, unix-dgram:, tcp: and udp:.
 */
#ifndef POLICY_RULE_ADDRESS_H
#define POLICY_RULE_ADDRESS_H

#include "compiler.h"

/* Who gets the patterns of a rule while its words are expanded. */
struct rule_target {
	struct compiler *compiler;
	const struct statement *statement;
	struct place place; /* of the word that is being expanded */
	struct rule *rule;
	uint32_t number;
};

/*
 * Adds a pattern that begins with a scheme. Returns 0, 1 where it is no address (nothing is done),
 * -EINVAL or -ENOMEM.
 */
int rule_add_address(struct rule_target *target, const struct atom *atoms, size_t count);

#endif
