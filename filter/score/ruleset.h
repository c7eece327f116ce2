/*
 * ruleset - SpamAssassin-syntax rule files, loaded.
 *
 * A ruleset is immutable once loaded and shared by all threads.  A line
 * that is not in force is named with file, line and reason, counted, and
 * never silently dropped.  ruleset_load() belongs to one loading thread.
 */
#ifndef SCORE_RULESET_H
#define SCORE_RULESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define SCORE_REQUIRED	5.0	/* where no file says required_score */

struct ruleset;

/* How files are read; all zero is the usual way. */
struct ruleset_how {
	const char *const *plugins;	/* that `if' finds, NULL at the end;
					 * NULL: those whose work we do */
	bool		 local_only;	/* `if local_tests_only' is true */
	bool		 every;		/* rules of score 0 are asked too */
	bool		 subs;		/* and those named __X, though no other
					 * rule needs their answer */
};

/* Each path of the globs (white space between them), sorted; *problems says,
 * a line each, what was not understood.  NULL: a file can't be read (in
 * *err). */
struct ruleset	*ruleset_load(struct str globs, struct buf *problems,
		    struct buf *err);
struct ruleset	*ruleset_load_how(struct str globs, const struct ruleset_how *,
		    struct buf *problems, struct buf *err);
/* From memory; `include' is a mistake. */
struct ruleset	*ruleset_parse(struct str text, const struct ruleset_how *,
		    struct buf *problems);
void		 ruleset_free(struct ruleset **);
size_t		 ruleset_count(const struct ruleset *);
/* Rules that are not in force, and lines not understood. */
size_t		 ruleset_left_out(const struct ruleset *);
bool		 ruleset_has(const struct ruleset *, struct str rule);
/* required_score: from how much on SpamAssassin says spam; 5 unless said. */
double		 ruleset_required(const struct ruleset *);
/* Is there such a rule?  Then each message has its hits, though it is named
 * __X and no other rule needs to know.  Before the first message. */
bool		 ruleset_want(struct ruleset *, struct str rule);
/* For administrators: how many rules of each kind are in force, and each
 * line that is not, with its reason. */
void		 ruleset_report(const struct ruleset *, struct buf *);

#endif
