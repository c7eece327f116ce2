/*
 * tree - a regex in PCRE2's syntax, taken apart as far as prefilters need.
 *
 * The tree matches at least what the regex matches, once both are in lower
 * case (ASCII's): assertions are empty (of two the place is
 * told), what can't be expressed is TREE_ANY.
 * A pattern with anything that is not understood has no tree.
 *
 * Trees live in the arena given.  Any thread; bounded in the pattern.
 */
#ifndef SCORE_TREE_H
#define SCORE_TREE_H

#include "base/arena.h"
#include "base/str.h"
#include "score/byte_set.h"

enum tree_kind {
	TREE_EMPTY,
	TREE_ANY,		/* any text, none too */
	TREE_BYTE,		/* one byte of `bytes' */
	TREE_SEQUENCE,		/* the children, one behind the other */
	TREE_CHOICE,		/* one of the children */
	TREE_REPEAT		/* the child, `least' to `most' times */
};

/* Where alone a TREE_EMPTY can stand. */
enum tree_place {
	TREE_ANYWHERE,
	TREE_LINE_START,	/* of the text, or behind a line feed */
	TREE_WORD_EDGE		/* between [0-9A-Za-z_] and others */
};

struct tree {
	struct tree	*next;		/* sibling */
	struct tree	*child;
	enum tree_kind	 kind;
	enum tree_place	 place;
	unsigned int	 least, most;	/* most 0: without end */
	struct byte_set	 bytes;		/* lower case */
};

/* flags: as regex_new() takes them.  NULL: not understood. */
const struct tree *tree_of(struct arena *, struct str pattern,
		    struct str flags);

#endif
