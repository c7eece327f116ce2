/*
 * automaton - can regexes match this text at all?  Asked in linear time.
 *
 * A finite automaton of what some regexes match at least (score/nodes.h),
 * whose states are made while texts are read (score/states.h).  Long regexes
 * of many alternatives take PCRE2 a hundred times as long to find no match;
 * and several of them in one automaton cost what one costs, unless too many
 * states come of it.
 *
 * Any number of threads may ask.  States are limited: for each automaton, for
 * each text and for all together.  Where they don't suffice the answer is
 * that all may match.
 */
#ifndef SCORE_AUTOMATON_H
#define SCORE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define AUTOMATON_REGEXES 12	/* of one */

struct automaton;

/* flags: as regex_new() takes them. */
struct automaton_regex {
	struct str	 pattern, flags;
};

/* A text, and what is said of it. */
struct automaton_ask {
	struct automaton *automaton;
	struct str	 text;
	uint32_t	 may;		/* a bit for each regex; the others do
					 * not match */
	bool		 gave_up;	/* therefore all may */
};

/* NULL: it would say nothing of any regex. */
struct automaton *automaton_new(const struct automaton_regex *, size_t n);
void		 automaton_free(struct automaton **);
/* Any number of texts, in less time than one by one. */
void		 automaton_ask(struct automaton_ask *, size_t n);
/* false: no regex of it matches. */
bool		 automaton_may(struct automaton *, struct str text);
/* How often it has forgotten its states: there were too many. */
unsigned int	 automaton_forgotten(const struct automaton *);

#endif
