/*
 * trace - why a decision fell: rules asked, in order, and facts they read.
 *
 * Lives in the arena of the session or the txn whose decision it tells, and
 * takes no more of it than TRACE_MAX: what comes later is counted, not kept,
 * so that a stranger with ten thousand recipients can't fill the arena this
 * way.  A trace never fails a message; every function takes NULL.
 *
 * The evaluator also keeps here what later rules may ask again: values of
 * facts that don't change any more, the limit last found over, the list that
 * last listed the client.  One thread at a time.
 */
#ifndef POLICY_TRACE_H
#define POLICY_TRACE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "check/dnsbl.h"
#include "check/limit.h"
#include "mail/session.h"

#define TRACE_MAX_SESSION	(48 * 1024)
#define TRACE_MAX_TXN		(1024 * 1024)
#define TRACE_VALUE_MAX		200	/* bytes of a value that are kept */
#define TRACE_RECENT		32	/* facts looked at for a repetition */

enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };

struct rule;
struct fact_memo;

struct trace_fact {
	struct trace_fact *next;
	struct str	 name;		/* "spf", "over submission" */
	struct str	 value;
	bool		 unknown;
	int64_t		 cost_us;	/* of the first time it was asked */
	enum stage	 stage;
};

struct trace_read {
	struct trace_read *next;
	const struct trace_fact *fact;
};

struct trace_rule {
	struct trace_rule *next;
	const struct rule *rule;
	enum truth	 truth;
	struct str	 detail;	/* what it did: the reply */
	struct trace_read *reads;	/* facts it asked, in order */
};

struct trace {
	struct arena	*arena;
	size_t		 used, max;
	size_t		 left_out;	/* rules and facts past the maximum */
	struct trace_rule *rules, **rules_tail;
	struct trace_fact *facts, **facts_tail;
	struct trace_read *reads, **reads_tail;	/* of the rule being asked */
	struct trace_fact *recent[TRACE_RECENT];
	size_t		 nfacts;

	struct fact_memo *memo;		/* policy/fact.c's */
	const struct limit_info *over;	/* what {limit.name} ... tell of */
	const struct dnsbl_result *listed; /* {dnsbl.name} ... */
	const struct rule *decided;	/* the rule that ended it */
	const struct rule *held;	/* the rule that said quarantine */
};

const char	*truth_word(enum truth);	/* "no", "yes", "unknown" */
/* The open message's trace, else the connection's; may be NULL. */
struct trace	*trace_of(const struct session *);
/* NULL: the arena is full. */
struct trace	*trace_new(struct arena *, size_t max);
/* The facts recorded since the last rule are the ones this rule read. */
void		 trace_rule(struct trace *, const struct rule *, enum truth,
		    struct str detail);
/* A fact of the same name, value and stage is recorded once, as long as it
 * is among the last ones. */
void		 trace_fact(struct trace *, struct str name, struct str value,
		    bool unknown, int64_t cost_us, enum stage);

/* A line a rule asked: where, its line, the answer, what it did, the facts. */
void		 trace_print(const struct trace *, struct buf *);
/* [{"rule":..,"stage":..,"answer":..,"detail":..,"facts":[..]}, ..] */
void		 trace_json(const struct trace *, struct buf *);
/* Names of facts that could not be computed, each once: adds them to a JSON
 * array that has *n elements already. */
void		 trace_json_unknown(const struct trace *, struct buf *,
		    size_t *n);

#endif
