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

struct meta_range meta_range_known(double value);
/* range(arg, i) is that of the i-th name.  The value is that of meta_eval(),
 * but counted as metas count for each other: 1 where it is below 0. */
struct meta_range meta_range(const struct meta *,
		    struct meta_range (*range)(void *arg, size_t i), void *arg);

#endif
