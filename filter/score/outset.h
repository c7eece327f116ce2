/*
 * outset - what is known of the rules before anything of a message is seen.
 *
 * Few rules hit in a message: it lacks the words that their regexes need
 * (score/prefilter.h), or the field they look at.  So every message begins
 * with all such rules known to be 0, and with what the metas come to if that
 * stays so.  Where a rule turns out otherwise, the metas that watch it are
 * open, and so are those that watch them; the others keep their values.  A
 * meta that is 0 for one of its operands watches but that one.
 *
 * Inside of score/ only.  Part of the plan, made with it.
 */
#ifndef SCORE_OUTSET_H
#define SCORE_OUTSET_H

#include <stdint.h>

#include "score/rule.h"

struct plan;

enum outset_state {
	OUTSET_KNOWN = 0,	/* the rule counts what it counts */
	OUTSET_WAITS,		/* it has to be asked */
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
	struct outset_links watchers;	/* metas to open if a rule turns out
					 * otherwise */
	struct outset_links readers;	/* all that name it */
};

/* All else of the plan is made. */
void	outset_make(struct plan *);

#endif
