/*
 * automaton - can a regex match this text at all?  Asked in linear time.
 *
 * A finite automaton of what a regex matches at least (score/tree.h), whose
 * states are made while texts are read.  Long regexes of many alternatives
 * take PCRE2 a hundred times as long to find no match.
 *
 * Any number of threads may ask.  They share the states, which are read
 * without a lock; who comes to a move that nobody made yet makes it under
 * one.  States are limited for each automaton and for all together: when
 * there are too many they are forgotten, and where that does not help the
 * answer is that it may match.
 */
#ifndef SCORE_AUTOMATON_H
#define SCORE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define AUTOMATON_LANES	4
#define AUTOMATON_NODES	60000
#define AUTOMATON_STATES 2048		/* made at a time */
#define AUTOMATON_BYTES	(24 << 20)	/* of all states of all automata */

struct automaton;

/* flags: as regex_new() takes them.  NULL: it would say nothing. */
struct automaton *automaton_new(struct str pattern, struct str flags);
void		 automaton_free(struct automaton **);
/* false: the regex does not match. */
bool		 automaton_may(struct automaton *, struct str text);
/* The same of up to AUTOMATON_LANES at once, in little more time than one
 * takes: a bit for each that may. */
unsigned int	 automaton_may_each(struct automaton *const each[], size_t n,
		    struct str text);

#endif
