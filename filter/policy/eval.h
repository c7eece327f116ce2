/*
 * eval - one stage being judged: what eval.c, cond.c and act.c share.
 *
 * Not for others: policy/policy.h is the door.  Lives on the stack of
 * policy_eval().
 */
#ifndef POLICY_EVAL_H
#define POLICY_EVAL_H

#include <stdbool.h>

#include "mail/session.h"
#include "policy/ast.h"
#include "policy/policy.h"
#include "policy/trace.h"

struct eval {
	struct session	*session;
	enum stage	 stage;
	struct arena	*arena;		/* of what is decided now */
	struct verdict	*verdict;
	struct trace	*trace;		/* may be NULL */
	struct decision	*decision;
	bool		 ended;		/* no later rule of this stage */
	int64_t		 delayed_ms;	/* by `delay', in this stage */

	/* about the rule being asked */
	bool		 store_down;	/* something was unknown because of it */
	struct str	 detail;	/* what it did, for trace and log */
};

enum truth	cond_eval(struct eval *, const struct expr *);
/* Carries out a rule that fired. */
void		act_run(struct eval *, const struct rule *);
/* What it would have done. */
void		act_describe(struct eval *, const struct rule *);

#endif
