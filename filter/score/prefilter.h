/*
 * prefilter - one pass over a text says which rules could hit in it.
 *
 * A rule is either covered, and then it hits only where the pass names it, or
 * it has to be asked by itself.  Most are covered by literals that their
 * regex cannot match without (score/literal.h), most others by the bytes it
 * must run through (score/chain.h): the pass looks for all literals, then for
 * all chains.  Of SpamAssassin's 621 body rules a dozen are left over.
 *
 * That is made from the rules in a few hundredths of a second, in memory of
 * a megabyte.  General multi-pattern engines were measured on the same rules:
 * Vectorscan 5.4.9 takes half a minute to compile them (7 s and 13 MB with
 * the long ones left out), and its pass ten times as long as this one.
 *
 * Each kind of text has its rules.  prefilter_pass() may run in any number of
 * threads, one prefilter_scratch each; everything else is one thread's.
 */
#ifndef SCORE_PREFILTER_H
#define SCORE_PREFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum prefilter_text {
	PREFILTER_HEADER,
	PREFILTER_BODY,
	PREFILTER_RAWBODY,
	PREFILTER_URI,
	PREFILTER_PART,		/* a field of a MIME part */
	PREFILTER_TEXTS
};

struct prefilter;

struct prefilter_scratch {
	uint32_t	*found;		/* the rules a pass named */
	size_t		 nfound;
	uint32_t	 pass;		/* counts them */
	uint32_t	*rule_pass;	/* when a rule's sets were last met */
	uint8_t		*rule_sets;	/* which, and whether it was named */
	uint32_t	*literal_pass;
};

/* Rules are known by a number below `rules'. */
struct prefilter *prefilter_new(size_t rules);
void		 prefilter_free(struct prefilter **);
/* Before the first pass.  false: the rule is not covered. */
bool		 prefilter_add(struct prefilter *, enum prefilter_text,
		    uint32_t rule, struct str pattern, struct str flags);
/* How often its literals are in a text of ordinary mail, roughly; 0: it is
 * covered by a chain, or not at all. */
double		 prefilter_odds(const struct prefilter *, uint32_t rule);
/* Passes name the other rule for this one, once a text. */
void		 prefilter_name(struct prefilter *, uint32_t rule,
		    uint32_t name);
/* All rules are added. */
void		 prefilter_ready(struct prefilter *);
bool		 prefilter_covers(const struct prefilter *, uint32_t rule);

/* Before a message's passes; false: the arena is full. */
bool		 prefilter_begin(const struct prefilter *, struct arena *,
		    struct prefilter_scratch *);
/* Which covered rules could hit in this text: scratch->found. */
void		 prefilter_pass(const struct prefilter *, enum prefilter_text,
		    struct str text, struct prefilter_scratch *);

#endif
