/*
 * match - the rules of a plan, asked about one message.
 *
 * match_message() counts the hits of each rule: of a `multiple' rule every
 * match up to its maxhits, of others one.  A meta's count is its value.
 *
 * No rule may hold the thread.  A regex that meets its match limit, or a
 * rule that computes longer than MATCH_RULE_MS on one message, is asked no
 * more about it and counts what it had; the log names it, once while its
 * ruleset is loaded.  After MATCH_STRIKES such messages it is asked about
 * none for MATCH_PAUSE_MS.  Rules that could not be asked within SCORE_MAX_MS
 * count 0.  All redirector_patterns together have MATCH_RULE_MS.
 *
 * Inside of score/ only.  One thread, one message; what it leaves lives in
 * the message's arena.
 */
#ifndef SCORE_MATCH_H
#define SCORE_MATCH_H

#include <stdint.h>

#include "mail/session.h"
#include "mail/uri.h"
#include "mail/view.h"
#include "score/capture.h"
#include "score/demand.h"
#include "score/part_text.h"
#include "score/plan.h"

#define MATCH_RULE_MS	50
#define MATCH_STRIKES	20
#define MATCH_PAUSE_MS	(15 * 60 * 1000)
#define MATCH_WAITING	64

/* What a field of the plan is in this message, once somebody asked. */
struct match_value {
	struct str	 text;
	bool		 known;
};

/* Rules, alone or in groups, that may have to be asked about a text. */
struct match_wait {
	struct sieve_ask ask[MATCH_WAITING];
	bool		 first[MATCH_WAITING];	/* of its kind of text */
	size_t		 count;
};

struct match {
	struct txn	*txn;
	struct arena	*arena;
	struct part_texts parts;
	const struct ruleset *set;
	struct fields	*fields;
	struct match_value *values;	/* of each field of the plan */
	struct eval	*eval;
	const struct view *view;
	const struct uri_list *uris;
	struct str	*uri;		/* their texts */
	size_t		 nuri;
	struct captures	 captures;
	double		*count;		/* of each rule */
	unsigned char	*out;		/* rules asked no more */
	int64_t		*spent_us;	/* by each, once it is looked at */
	bool		*suspect;	/* seems slow */
	struct prefilter_scratch scratch;
	struct match_wait wait;
	struct demand	 demand;
	int64_t		 stop_ms, last_us;
	unsigned int	 looks;		/* matches since the start */
	bool		 careful;	/* each match is timed */
	bool		 stopped;	/* no time is left */
	bool		 limited;	/* some rule was not asked to its end */
	bool		 full;		/* the arena is */
};

/* txn, set and stop_ms are set, the rest is zero.  false: arena full. */
bool	match_message(struct match *);
/* For score/demand.h: one rule, on all it looks at or on one text. */
void	match_rule(struct match *, const struct score_rule *);
void	match_text(struct match *, const struct score_rule *, struct str);

#endif
