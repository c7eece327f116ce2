/*
 * trace - why a decision fell: rules asked, in order, and facts they read.
 *
 * Lives in the arena of the session or the txn whose decision it tells.
 * When the arena is full the trace ends early; it never fails a message.
 */
#ifndef POLICY_TRACE_H
#define POLICY_TRACE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/stage.h"

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

struct rule;
struct fact_ref;
struct value;

struct trace_rule {
	struct trace_rule *next;
	const struct rule *rule;
	enum truth	 truth;
	struct str	 detail;	/* what it did: the reply, the key … */
};

struct trace_fact {
	struct trace_fact *next;
	struct str	 name;		/* "spf", "over submission", "listed zen" */
	struct str	 value;
	bool		 unknown;
	int64_t		 cost_us;
	enum stage	 stage;
};

struct trace {
	struct arena	*arena;
	struct trace_rule *rules, **rules_tail;
	struct trace_fact *facts, **facts_tail;
};

struct trace	*trace_new(struct arena *);	/* NULL: arena full */
void		 trace_rule(struct trace *, const struct rule *, enum truth,
		    struct str detail);
/* A fact of the same name, value and stage is recorded once. */
void		 trace_fact(struct trace *, struct str name, struct str value,
		    bool unknown, int64_t cost_us, enum stage);

#endif
