/*
 * rule_file - the lines of rule files, into a ruleset that is being made.
 *
 * Inside of score/ only: ruleset.c gives it files and finishes what it
 * leaves.  What it can't use it names in the ruleset's list.
 */
#ifndef SCORE_RULE_FILE_H
#define SCORE_RULE_FILE_H

#include <stdbool.h>

#include "score/condition.h"
#include "score/replace_tag.h"
#include "score/rule.h"

#define RULE_FILE_IFS	32

/* An open if: what was before it, and what it has passed over. */
struct rule_if {
	bool		 skip;		/* before it */
	bool		 plugin;
	struct str	 text;
	unsigned int	 from;		/* the line skipping began with */
	size_t		 skipped;	/* rules */
};

struct rule_reader {
	struct ruleset	*set;
	struct condition world;
	struct map	*loaded, *compat;	/* of the world */
	struct replace_tags tags;
	struct map	*tagged;	/* rules that replace_rules names */
	bool		 no_include;
	const char	*file;
	unsigned int	 line, depth;
	bool		 skip;
	struct rule_if	 ifs[RULE_FILE_IFS];
	size_t		 nifs, base;	/* base: those of including files */
};

void	rule_reader_begin(struct rule_reader *, struct ruleset *);
void	rule_reader_end(struct rule_reader *);
/* false: it can't be read, and *err says why. */
bool	rule_file_read(struct rule_reader *, const char *path,
	    struct buf *err);
void	rule_file_text(struct rule_reader *, const char *name,
	    struct str text);
/* Names a line that is not in force; where: a rule, or NULL for the line
 * that is being read. */
void	rule_left_out(struct rule_reader *, const struct score_rule *where,
	    enum rule_left_kind, struct str word, struct str name,
	    struct str why);

#endif
