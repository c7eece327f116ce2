/*
 * nodes - regexes as the nodes of one nondeterministic automaton.
 *
 * What each regex matches at least (score/tree.h), behind a start of its
 * own.  Who comes to its end has met a match.  Bytes that no regex tells
 * apart are one class.
 *
 * Inside of score/ only.  One thread makes them; after nodes_ready() nothing
 * changes but `always'.  Bounded in the patterns.
 */
#ifndef SCORE_NODES_H
#define SCORE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/chr.h"
#include "base/str.h"
#include "score/byte_set.h"

#define NODES_MAX	60000
#define NODES_REGEXES	12

/* Instead of a node or a set. */
#define NODE_NONE	UINT16_MAX
#define NODE_LINE_START	(UINT16_MAX - 1)
#define NODE_WORD_EDGE	(UINT16_MAX - 2)

/* From a node without a set one goes on without a byte. */
struct node {
	uint16_t	 set;		/* NODE_NONE: no byte; the others:
					 * neither, but only in such a place */
	uint16_t	 next, other;	/* NODE_NONE: there is none */
};

struct nodes {
	struct node	*node;		/* the first: each regex's end */
	size_t		 count, room;
	struct byte_set	*sets;
	size_t		 nsets;
	size_t		 regexes;
	uint16_t	 start[NODES_REGEXES];
	uint32_t	 always;	/* a bit for each regex that may match
					 * any text, for all that is known */
	uint16_t	 line, word;	/* are in states behind a line feed, or
					 * the text's start, and a letter */
	bool		 has_line, has_word;	/* someone asks for it */
	bool		 failed;
	uint8_t		 class_of[256];	/* of each byte as it stands */
	uint8_t		 byte_of[256];	/* one of each class */
	size_t		 classes;
};

/* For so many regexes, up to NODES_REGEXES, each of which is added then. */
void	nodes_begin(struct nodes *, size_t regexes);
/* flags: as regex_new() takes them. */
void	nodes_add(struct nodes *, size_t regex, struct str pattern,
	    struct str flags);
void	nodes_ready(struct nodes *);
void	nodes_free(struct nodes *);

static inline bool
node_is_word(int c)
{
	return chr_alnum(c) || c == '_';
}

#endif
