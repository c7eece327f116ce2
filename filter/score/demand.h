/*
 * demand - rules that are asked only when a meta needs to know.
 *
 * A rule named __X scores nothing; it is there for metas.  Most are cheap to
 * rule out, some are dear, and often a meta is settled without them: "A && B"
 * where A has not hit.  So such a rule waits, with the texts in which it could
 * hit, until a meta that is wanted itself needs it: a need that is known not
 * to be met settles the meta, else its needs are asked for in their order
 * (score/needs.h) until one is not met; and where all are, whatever can still
 * change the value (score/meta_range.h).  Who hits does not change by it, only
 * who is asked.
 *
 * Inside of score/ only.  One thread, one message; what it keeps lives in the
 * message's arena.
 */
#ifndef SCORE_DEMAND_H
#define SCORE_DEMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "score/rule.h"

struct match;

struct demand {
	unsigned char	*state;		/* enum outset_state of each rule */
	uint64_t	*open;		/* a bit for each of plan.metas: its
					 * turn is to come */
	uint64_t	*hits;		/* a bit for each rule: it may have hit;
					 * not of those that are late */
	struct demand_text **texts;	/* of each that was found in some */
	struct demand_text *spare;
	size_t		 nspare;
};

/* false: the arena is full. */
bool	demand_begin(struct match *);
/* The rule could hit in this text, which stays where it is. */
void	demand_text(struct match *, const struct score_rule *,
	    const struct str *text);
/* It could hit in what it looks at. */
void	demand_whole(struct match *, const struct score_rule *);
/* The rule has been asked: it counts what it counts. */
void	demand_known(struct match *, const struct score_rule *);
/* Counts all metas that are wanted, and what they need. */
void	demand_metas(struct match *);

#endif
