/*
 * states - what an automaton knows in the midst of a text.
 *
 * A state is a set of nodes (score/nodes.h), made when a text first leads to
 * it.  A table says where each class of bytes leads from each state, and
 * whose ends are met there.
 *
 * Any number of threads may read the table without a lock; who comes to a
 * move that nobody made yet makes it under one.  When there are too many
 * states they are forgotten: what was read of the table counts only if
 * states_valid() says so afterwards.
 *
 * Inside of score/ only.
 */
#ifndef SCORE_STATES_H
#define SCORE_STATES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "score/nodes.h"
#include "score/walks.h"

#define STATES_MAX	4096		/* made at a time */
#define STATES_LEARNT	1024		/* made for one text */
#define STATES_BYTES	(24 << 20)	/* of all states there are */

/* A move is the row of the next state, and above it a bit for each regex
 * whose end is met there.  In row 0 all moves are unknown. */
#define MOVE_UNKNOWN	0
#define MOVE_ROW	0xfffff
#define MOVE_MET	20		/* bits up */
#define STATE_FIRST	1

/* Read while it is written: a state is complete before a move leads to it. */
struct table {
	struct table	*older;		/* someone may still read it */
	size_t		 room;		/* states */
	size_t		 bytes;
	uint8_t		 class_of[256];	/* the nodes' */
	_Atomic uint32_t moves[];	/* a row for each state, with one for
					 * each class */
};

/* What states are made of; the lock's. */
struct workshop {
	uint32_t	*first;		/* a state's nodes in `targets' */
	uint16_t	*count;
	uint16_t	*targets;
	uint16_t	*hash;		/* states; 0: none */
	size_t		 hash_room;	/* a power of 2 */
	uint16_t	*met;		/* of the state that is made */
	uint32_t	*mark;		/* of each node, the round it was met */
	struct walks	 walks;
	size_t		 nstates, ntargets, targets_room, nmet;
	uint32_t	 round;
	size_t		 bytes, walk_bytes;	/* these are of all */
};

struct states {
	struct nodes	 nodes;
	uint32_t	 all;		/* a bit for each regex */
	pthread_mutex_t	 lock;
	struct workshop	 shop;
	_Atomic(struct table *) table;
	atomic_uint	 age;		/* odd while states are forgotten */
};

/* On the way through a text. */
struct run {
	struct states	*states;
	const struct table *table;
	size_t		 row;
	uint32_t	 seen;		/* all moves together */
	unsigned int	 age;		/* of the states */
	unsigned int	 made;		/* states */
};

enum states_answer {
	STATES_LEARNED,			/* look again */
	STATES_LOST,			/* they are others now: begin again */
	STATES_TOO_MANY			/* this text asks for */
};

/* Takes the nodes, which are ready.  NULL: all regexes may match any text, or
 * there is no room. */
struct states	*states_new(struct nodes *);
void		 states_free(struct states **);
/* Before a text. */
void		 states_begin(struct states *, struct run *);
/* The move for this byte is unknown. */
enum states_answer states_learn(struct run *, unsigned char byte);

static inline unsigned int
states_forgotten(const struct states *s)
{
	return atomic_load_explicit(&s->age, memory_order_relaxed) / 2;
}

/* The move for this byte. */
static inline uint32_t
states_look(const struct run *r, unsigned char byte)
{
	return atomic_load_explicit(
	    &r->table->moves[r->row + r->table->class_of[byte]],
	    memory_order_acquire);
}

static inline void
states_go(struct run *r, uint32_t move)
{
	r->seen |= move;
	r->row = move & MOVE_ROW;
}

/* A bit for each regex whose end was met. */
static inline uint32_t
states_met(const struct run *r)
{
	return r->seen >> MOVE_MET;
}

/* Was all that was read of one age? */
static inline bool
states_valid(const struct run *r)
{
	return atomic_load_explicit(&r->states->age, memory_order_acquire) ==
	    r->age;
}

#endif
