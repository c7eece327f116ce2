/*
 * needs - of each meta of a plan, what it needs to hit, as rules.
 *
 * A meta's needs (score/meta_need.h) are kept in the order in which it pays
 * to ask for them: the cheap ones that are seldom met come first.  A list of
 * needs is a row of numbers: how many sides the first need has, these sides,
 * how many the second has, and so on; 0 ends it.  A need is met if one of its
 * sides is so.
 *
 * Inside of score/ only.  Part of the plan, made with it.
 */
#ifndef SCORE_NEEDS_H
#define SCORE_NEEDS_H

#include <stdbool.h>
#include <stdint.h>

struct plan;

/* A side: the rule is not 0 if it has to hit, else it is. */
static inline uint32_t
needs_rule(uint32_t side)
{
	return side >> 1;
}

static inline bool
needs_hit(uint32_t side)
{
	return (side & 1) != 0;
}

static inline const uint32_t *
needs_next(const uint32_t *need)
{
	return need + *need + 1;
}

/* plan.cost and the `needs' of all its metas; all else but plan.outset is
 * made. */
void	needs_make(struct plan *);

#endif
