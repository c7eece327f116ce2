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

#include "mail/tld.h"
#include "score/prefilter.h"
#include "score/rule.h"

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
	struct plan_list rules;
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
	struct plan_list eval;
	const struct eval_def **functions;	/* of each rule of eval; NULL:
						 * auth_rule.h knows it */
	struct plan_list captures;	/* that others wait for */
	struct plan_field *fields;
	size_t		 nfields;
	struct plan_list metas;
	struct plan_health *health;	/* of each rule */
	struct tld_set	*tlds;		/* NULL: the public suffix list */
	struct prefilter *prefilter;	/* NULL: every rule is asked */
};

/* Never NULL. */
struct plan	*plan_new(const struct ruleset *);
void		 plan_free(struct plan **);
/* Every rule is asked by itself from now on; before the first message. */
void		 plan_no_prefilter(struct ruleset *);

#endif
