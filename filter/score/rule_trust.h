/*
 * rule_trust - the networks that rule files trust.
 *
 *	trusted_networks, internal_networks, msa_networks, each with clear_
 *
 * Read by the loading thread, then only looked at.
 */
#ifndef SCORE_RULE_TRUST_H
#define SCORE_RULE_TRUST_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/relay.h"

struct rule_trust {
	struct relay_trust nets;
};

/* A line of that word.  false: *bad is the part of it that says nothing, the
 * others hold. */
bool	rule_trust_read(struct rule_trust *, struct arena *, struct str word,
	    struct str rest, struct str *bad);

#endif
