/*
 * literal - texts that whatever a regex matches must contain.
 *
 * literal_sets() answers with sets of strings: a subject that the regex
 * matches holds at least one string of every set, once each of its bytes is
 * literal_plain().  It errs on one side alone: where a pattern says too much
 * there are fewer sets or none, never a wrong one.
 *
 * Strings live in the arena given.  Any thread; bounded in the pattern.
 */
#ifndef SCORE_LITERAL_H
#define SCORE_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "score/tree.h"

#define LITERAL_SETS	2	/* at most: the rarest, it first */
#define LITERAL_STRINGS	256	/* of one set */
#define LITERAL_SHORTEST 3	/* bytes; shorter ones are everywhere */
#define LITERAL_LONGEST	32

struct literal_set {
	const struct str *text;
	size_t		 count;
	double		 odds;		/* rough: how often it is met */
};

struct literals {
	struct literal_set set[LITERAL_SETS];
	size_t		 count;		/* 0: nothing is known */
};

/* false: nothing is known. */
bool	literal_sets(struct arena *, const struct tree *, struct literals *);

/* ASCII's lower case, and any white space a blank. */
static inline unsigned char
literal_plain(unsigned char c)
{
	unsigned char lower = c | (c >= 'A' && c <= 'Z' ? 0x20 : 0);

	return c >= '\t' && c <= '\r' ? ' ' : lower;
}

/* Roughly how often a string is met: the less, the better it is to look for. */
double	literal_odds(struct str);

#endif
