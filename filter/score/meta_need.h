/*
 * meta_need - what a meta needs if it is to hit.
 *
 * "(A || B) && !C" needs A or B, and it needs that C is 0.  While one of its
 * needs is not met the meta is 0, whatever the other names are.  So most
 * metas are settled in most messages, which is far cheaper to see than what
 * a meta can still become (score/meta_range.h).  Pure arithmetic, any thread.
 */
#ifndef SCORE_META_NEED_H
#define SCORE_META_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "score/meta.h"

#define META_NEED_NAMES	64	/* the names after these are not looked at */
#define META_NEEDS_MAX	32

/* Met where a name of `hit' is not 0, or one of `miss' is; a bit for each
 * name. */
struct meta_need {
	uint64_t	 hit, miss;
};

struct meta_needs {
	struct meta_need *need;
	size_t		 count;
	bool		 numbers;	/* there is more in it than && || ! */
};

/* Perhaps not all that it needs.  NULL need: none is known. */
struct meta_needs meta_needs(struct arena *, const struct meta *);

#endif
