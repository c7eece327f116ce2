/*
 * meta - arithmetic and logic over the names of other rules.
 *
 * A meta expression (&& || ! parentheses, comparisons, + - * /, numbers, rule
 * names) is compiled to postfix once and evaluated with a stack of fixed
 * depth.  Values live in the ruleset's arena; evaluation touches nothing.
 */
#ifndef SCORE_META_H
#define SCORE_META_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

#define META_DEPTH	64

struct meta;

/* NULL with the reason in *why. */
struct meta	*meta_parse(struct arena *, struct str text, struct buf *why);
/* The names it reads, in order; i counts from 0, STR_NONE at the end. */
struct str	 meta_name(const struct meta *, size_t i);
/* value(arg, i) is the value of the i-th name. */
double		 meta_eval(const struct meta *,
		    double (*value)(void *arg, size_t i), void *arg);

#endif
