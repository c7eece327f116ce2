/*
 * score - a message judged by a ruleset: which rules hit, and their sum.
 *
 * score_run() judges a message at its end, once, and leaves names and scores
 * in the txn's arena.  What a rule that takes too much means is told in
 * score/match.h.  Called by the txn's thread.
 */
#ifndef SCORE_SCORE_H
#define SCORE_SCORE_H

#include "check/check.h"
#include "score/ruleset.h"

#define SCORE_MAX_MS	5000	/* the MTA waits longer at message */

struct score_hit {
	struct score_hit *next;
	struct str	 rule;
	struct str	 describe;
	double		 score;
	double		 times;		/* it hit; a meta's value */
};

struct score_result {
	double		 score;
	struct score_hit *hits;		/* in the files' order */
	size_t		 count;
	struct score_hit *subs;		/* named __X, which score nothing */
	bool		 limited;	/* not all rules could be asked */
};

/* Once a txn; NULL: arena full. */
const struct score_result *score_run(struct txn *, const struct ruleset *);
bool		 score_hit(const struct score_result *, struct str rule);
/* "Yes|No, score=1.2 required=5.0 tests=A,B autolearn=no", folded as
 * SpamAssassin folds X-Spam-Status. */
struct str	 score_report(struct arena *, const struct score_result *,
		    double extra, double required);

#endif
