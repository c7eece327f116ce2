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
	bool		 store_down;	/* so something was unknown */
	struct str	 detail;	/* what it did, for trace and log */
};

/* cond.c */
enum truth	cond_eval(struct eval *, const struct expr *);

/* act.c: carries out a rule that fired. */
void		act_run(struct eval *, const struct rule *);
/* Whether `header' takes out fields of this name that came from outside. */
bool		act_owns_field(struct str name);
/* A rule in shadow: what it would have done goes to detail. */
void		act_shadow(struct eval *, const struct rule *);
/* Ends the stage; text is a reply's ("": the usual one). */
void		act_end(struct eval *, const struct rule *, enum action,
		    struct str text);

/* act_call.c: what asks others to do something. */
void		act_notify(struct eval *, const struct rule *);
void		act_sign(struct eval *, const struct rule *);

#endif
