/*
 * sieve - could slow rules match in a text?  Asked before PCRE2 is.
 *
 * Rules are asked as automata (score/automaton.h), several as one where that
 * pays: those that the prefilter says nothing of, or would name in nearly
 * every text.  Those that have too many states together are asked as two
 * halves from then on.
 *
 * Groups are made by one thread, and asked by any number; their automata are
 * made when they are first asked.  Inside of score/ only.
 */
#ifndef SCORE_SIEVE_H
#define SCORE_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "score/rule.h"

/* Rules that are asked together; or one alone. */
struct sieve_group;

struct sieve_group *sieve_single(const struct score_rule *);
void		 sieve_single_free(struct sieve_group **);
/* How many rules are in it, and which. */
size_t		 sieve_count(const struct sieve_group *);
const struct score_rule *sieve_rule(const struct sieve_group *,
		    size_t number);
/* false: the single rule does not match. */
bool		 sieve_may(struct sieve_group *, struct str text);

/* All groups of one kind of text. */
struct sieve {
	struct sieve_group **single;	/* what they are made of */
	size_t		 singles;
	struct sieve_group **group;
	size_t		 count;
};

struct sieve	*sieve_new(void);
void		 sieve_free(struct sieve **);
/* In the order of the files: what is alike stands together there.  The
 * single is the caller's, and lives longer. */
void		 sieve_add(struct sieve *, struct sieve_group *single);
/* All are added. */
void		 sieve_ready(struct sieve *);

/* A group, and a text that it is asked of. */
struct sieve_ask {
	struct sieve_group *group;
	const struct str *text;
	uint32_t	 could;		/* a bit for each rule's number */
};

/* Many take less time together than one by one. */
void		 sieve_ask(struct sieve_ask *, size_t n);

#endif
