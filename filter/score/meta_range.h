/*
 * meta_range - what a meta can still become while some rules are not asked.
 *
 * Each name has a range of values instead of one; what is not yet known names
 * the rule to ask next.  A value that is known whatever the unknown ones turn
 * out to be (0 && X) names nobody, and of several that matter the cheapest is
 * named.  Pure arithmetic, any thread.
 */
#ifndef SCORE_META_RANGE_H
#define SCORE_META_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "score/meta.h"

#define META_ASK_NONE	UINT32_MAX

struct meta_range {
	double		 low, high;	/* the same, once it is known */
	double		 cost;		/* to ask: */
	uint32_t	 ask;		/* META_ASK_NONE: it is known */
	bool		 odd;		/* it may be no number */
};

static inline struct meta_range
meta_range_known(double value)
{
	return (struct meta_range){ .low = value,
		.high = value,
		.ask = META_ASK_NONE,
		.odd = value != value };
}

/* What is known of the rules that a meta names. */
struct meta_facts {
	const uint32_t	*reads;		/* of each name: a place in... */
	const unsigned char *open;	/* 0: it is known */
	const double	*value;		/* of one that is known */
	/* One that is not: what it could be. */
	void		 (*range)(void *arg, uint32_t place,
	    struct meta_range *out);
	void		*arg;
};

/* The value is that of meta_eval(), but counted as metas count for each other:
 * 1 where it is below 0. */
struct meta_range meta_range(const struct meta *, const struct meta_facts *);

#endif
