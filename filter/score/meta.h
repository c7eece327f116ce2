/*
 * meta - arithmetic and logic over the names of other rules.
 *
 * A meta expression (&& || ! ^ ?: parentheses, comparisons, + - * /, numbers,
 * rule names) is compiled to postfix once and evaluated with a stack of fixed
 * depth.  Its value is Perl's: && and || give the operand that decided.
 * It lives in the ruleset's arena; evaluation touches nothing.
 */
#ifndef SCORE_META_H
#define SCORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define META_DEPTH	64

struct meta;

/* NULL with the reason in *why.  An expression that divides by zero where no
 * rule has hit is refused, as SpamAssassin refuses it; at any other time such
 * a division gives 0.  Names point into text. */
struct meta	*meta_parse(struct arena *, struct str text, struct buf *why);
/* The names it reads, in order; i counts from 0, STR_NONE at the end. */
struct str	 meta_name(const struct meta *, size_t i);
/* value(arg, i) is the value of the i-th name. */
double		 meta_eval(const struct meta *,
		    double (*value)(void *arg, size_t i), void *arg);

#endif
