/*
 * ruleset - SpamAssassin-syntax rule files, loaded.
 *
 * A ruleset is immutable once loaded and shared by all threads.  A line
 * that is not understood is named with file, line and reason, counted, and
 * never silently dropped.  ruleset_load() belongs to one loading thread.
 */
#ifndef SCORE_RULESET_H
#define SCORE_RULESET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct ruleset;

/* Each path of the globs (white space between them), sorted; *problems says,
 * a line each, what was left out.  NULL: a file can't be read (in *err). */
struct ruleset	*ruleset_load(struct str globs, struct buf *problems,
		    struct buf *err);
void		 ruleset_free(struct ruleset **);
size_t		 ruleset_count(const struct ruleset *);
size_t		 ruleset_left_out(const struct ruleset *);
bool		 ruleset_has(const struct ruleset *, struct str rule);

#endif
