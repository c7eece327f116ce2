/*
 * walks - where a byte leads from a node, remembered.
 *
 * From one node of a long choice a byte leads through hundreds of others;
 * and most states of an automaton are made of nodes that other states have
 * too.
 *
 * Inside of score/ only.  One thread at a time.  What is remembered is
 * limited, and forgotten when it is too much.
 */
#ifndef SCORE_WALKS_H
#define SCORE_WALKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "score/nodes.h"

/* What stands before the byte. */
struct walks_place {
	bool		 line, word;	/* as nodes have it */
};

struct walk {
	uint32_t	 key;		/* 0: none */
	uint32_t	 first;		/* of `targets' */
	uint32_t	 count;		/* or the ends */
};

struct walks {
	const struct nodes *nodes;
	struct walk	*walk;		/* by their keys */
	size_t		 room, count;	/* room: a power of 2 */
	uint16_t	*targets;
	size_t		 ntargets, targets_room;
	uint16_t	*stack;		/* nodes still to be passed through */
	uint32_t	*mark;		/* of each node, the round it was met */
	uint32_t	 round;
	uint64_t	*reach;		/* of each node: classes that lead
					 * anywhere, several having the same
					 * bit; and the end */
};

void	 walks_open(struct walks *, const struct nodes *);
void	 walks_close(struct walks *);
void	 walks_forget(struct walks *);
/* Of the memory that is lent. */
size_t	 walks_bytes(const struct walks *);
/* The nodes that a byte of the class leads to; good until the next call. */
const uint16_t *walks_to(struct walks *, uint16_t node, uint8_t class,
	    struct walks_place, size_t *n);
/* A bit for each regex to whose end the node leads before some byte. */
uint32_t walks_ends(struct walks *, uint16_t node, struct walks_place);

#endif
