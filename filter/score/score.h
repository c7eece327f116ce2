/*
 * score - SpamAssassin-syntax rule files: loaded, matched, added up.
 *
 * A ruleset is immutable once loaded and shared by all threads.  score_run()
 * judges a message at its end and leaves names, scores and report in the
 * txn's arena.  A line of a rule file that is not understood is named with
 * file and line, counted, and never silently dropped.
 */
#ifndef SCORE_SCORE_H
#define SCORE_SCORE_H

#include "check/check.h"

struct ruleset;

struct score_hit {
	struct score_hit *next;
	struct str	 rule;
	struct str	 describe;
	double		 score;
};

struct score_result {
	double		 score;
	struct score_hit *hits;		/* in the order of evaluation */
	size_t		 count;
	bool		 limited;	/* a rule met its match limit */
};

/* Each path of the globs (white space between them), sorted; *problems says,
 * a line each, what was left out.  NULL: a file can't be read (in *err). */
struct ruleset	*ruleset_load(struct str globs, struct buf *problems,
		    struct buf *err);
void		 ruleset_free(struct ruleset **);
size_t		 ruleset_count(const struct ruleset *);
size_t		 ruleset_left_out(const struct ruleset *);
bool		 ruleset_has(const struct ruleset *, struct str rule);
/* Once a txn; NULL: arena full. */
const struct score_result *score_run(struct txn *, const struct ruleset *);
bool		 score_hit(const struct score_result *, struct str rule);
/* "Yes|No, score=1.2 required=5.0 tests=A,B autolearn=no", folded. */
struct str	 score_report(struct arena *, const struct score_result *,
		    double extra, double required);

#endif
