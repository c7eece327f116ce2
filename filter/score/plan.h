/*
 * plan - what is known of a ruleset before any message comes.
 *
 * Which rules are in force and at what they look; the header fields they
 * look at, each once; the metas in an order in which each finds those it
 * names done; and what goes in front of the regexes (score/prefilter.h).
 * Inside of score/ only.  Made once a ruleset is loaded; after that nothing
 * changes but the health of rules, which any thread may count.
 */
#ifndef SCORE_PLAN_H
#define SCORE_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/tld.h"
#include "score/outset.h"
#include "score/prefilter.h"
#include "score/rule.h"
#include "score/sieve.h"

struct eval_def;

/* Rules of one kind, in the files' order. */
struct plan_list {
	const struct score_rule **rule;
	size_t		 count;
};

/* Header rules that look at the same value. */
struct plan_field {
	struct str	 name;
	unsigned int	 flags;
	uint64_t	 hash;		/* of the name */
	bool		 made;		/* it may be there without a field */
	struct plan_list rules;
	struct plan_list exists;	/* hit if there is such a field */
	struct plan_list covered;	/* by the prefilter */
	struct sieve	*sieve;		/* NULL: no rules */
	struct plan_list alone;		/* asked, be it there or not */
};

#define PLAN_NO_FIELD	UINT32_MAX

/* A meta in force; it stands behind those that it reads. */
struct plan_meta {
	const struct meta *meta;
	const uint32_t	*needs;		/* to hit; score/needs.h */
	const uint32_t	*reads;		/* rules, in the order of meta_name();
					 * plan.count: none, so it is 0 */
	uint32_t	 nreads;
	uint32_t	 rule;
	double		 most;		/* it can come to, or more */
	bool		 numbers;	/* it may be settled though all that
					 * it needs may be so */
};

/* Rules that were too much for a message. */
struct plan_health {
	atomic_uint	 strikes;	/* messages */
	atomic_bool	 told;
	atomic_llong	 off_until;	/* mono ms */
};

struct plan {
	struct arena	*arena;
	size_t		 count;		/* rules of the ruleset */
	const struct score_rule **by_index;
	struct plan_list regex[RULE_KIND_COUNT];	/* but header */
	/* Those of them that the prefilter does not cover. */
	struct plan_list alone[RULE_KIND_COUNT];
	struct sieve	*sieve[RULE_KIND_COUNT];	/* NULL: no rules */
	/* Those that it names in most texts. */
	struct sieve	*often[RULE_KIND_COUNT];
	struct plan_list eval;
	const struct eval_def **functions;	/* of each rule; NULL: none, or
						 * auth_rule.h knows it */
	struct plan_list captures;	/* that others wait for */
	struct plan_field *fields;
	size_t		 nfields;
	uint32_t	*field_of;	/* of each rule, or PLAN_NO_FIELD */
	uint32_t	*part_field_of;	/* the same of mimeheader rules */
	size_t		 npart_fields;
	struct plan_meta *metas;
	size_t		 nmetas;
	uint32_t	*meta_of;	/* of each rule that is in metas */
	bool		*late;		/* rules asked when a meta needs them */
	uint8_t		*depth;		/* of metas: through how many they
					 * look; 0: not in force */
	struct plan_health *health;	/* of each rule */
	atomic_llong	 all_on;	/* mono ms: by then none pauses */
	float		*cost;		/* of each rule, to ask it */
	struct sieve_group **slow;	/* of each rule whose regex is slow */
	struct sieve_group **together;	/* of each that the prefilter names
					 * for all of a group */
	struct tld_set	*tlds;		/* NULL: the public suffix list */
	struct prefilter *prefilter;	/* NULL: every rule is asked */
	struct outset	 outset;
};

/* Never NULL.  every: no rule is late. */
struct plan	*plan_new(const struct ruleset *, bool every);
void		 plan_free(struct plan **);
/* It hits only where the prefilter or a sieve names it. */
bool		 plan_covers(const struct plan *, const struct score_rule *);
/* It hits where the message has a field of its name, whatever is in it. */
bool		 plan_exists(const struct plan *, const struct score_rule *);
/* What tells of the rule's regex, if it is a slow one; NULL: nothing does. */
struct sieve_group *plan_slow(const struct plan *, const struct score_rule *);
/* Could the rule's regex match? */
bool		 plan_may(const struct plan *, const struct score_rule *,
		    struct str);
/* The rule is not late.  This and the next before the first message. */
void		 plan_want(struct plan *, const struct score_rule *);
/* Every rule is asked by itself from now on. */
void		 plan_no_prefilter(struct ruleset *);

#endif
