/*
 * outset - what is known of the rules before anything of a message is seen.
 *
 * Few rules hit in a message: it lacks the words that their regexes need
 * (score/prefilter.h), or the field they look at.  So every message begins
 * with all such rules known to be 0, and with what the metas come to if that
 * stays so.  Where a rule turns out otherwise, the metas that watch it are
 * open, and so are those that watch them if they come to something else; the
 * others keep their values.  A meta that is 0 for a need of its that is not
 * met (score/needs.h) watches but the sides of that.
 *
 * Inside of score/ only.  Part of the plan, made with it.
 */
#ifndef SCORE_OUTSET_H
#define SCORE_OUTSET_H

#include <stddef.h>
#include <stdint.h>

#include "score/rule.h"

struct plan;

enum outset_state {
	OUTSET_KNOWN = 0,	/* the rule counts what it counts */
	OUTSET_WAITS,		/* it has to be asked */
	OUTSET_FOUND,		/* in some texts: there it has to be */
	OUTSET_OPEN		/* a meta that has to be counted */
};

/* The metas of rule i are meta[first[i]] and so on, up to first[i + 1]. */
struct outset_links {
	uint32_t	*first;
	uint32_t	*meta;
};

struct outset {
	double		*count;		/* of each rule, and of none */
	unsigned char	*state;		/* enum outset_state */
	uint64_t	*open;		/* a bit for each of plan.metas */
	uint64_t	*hits;		/* a bit for each rule that is not 0 */
	struct outset_links watchers;	/* metas to open if a rule turns out
					 * otherwise */
};

/* What so many bits take. */
static inline size_t
outset_words(size_t bits)
{
	return bits / 64 + 1;
}

static inline void
outset_set(uint64_t *words, size_t bit)
{
	words[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* All else of the plan is made. */
void	outset_make(struct plan *);

#endif
