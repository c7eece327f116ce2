/*
 * chain - the bytes that whatever a regex matches must run through.
 *
 * For regexes that name no text worth looking for ("v.?[i1].?[a@].?g"): a
 * chain of byte sets, each followed by bytes that may stand before the next.
 * A text that the regex matches holds such a chain, once both are in lower
 * case (ASCII's).  Many chains are looked for in one pass over a text, each a
 * few bits of a machine word.
 *
 * Chains are added by one thread; after that any number may look.
 */
#ifndef SCORE_CHAIN_H
#define SCORE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "score/tree.h"

#define CHAIN_BLOCKS	16	/* at most, of CHAIN_LANES * 64 bits */
#define CHAIN_LANES	8

struct chains;

struct chains	*chain_new(void);
void		 chain_free(struct chains **);
/* false: the regex's chain would be met everywhere, or there is no room. */
bool		 chain_add(struct chains *, const struct tree *,
		    uint32_t rule);
/* All are added, and passes may begin. */
void		 chain_ready(struct chains *);
/* Passes use what every machine has from now on, and find the same. */
void		 chain_narrow(struct chains *);
/* found(arg, rule) for each chain that the text holds. */
void		 chain_pass(const struct chains *, struct str text,
		    void (*found)(void *arg, uint32_t rule), void *arg);

#endif
