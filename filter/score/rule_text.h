/*
 * rule_text - the lines of a rule file: a word, and what it says.
 *
 * A # that no backslash stands before begins a comment; "\#" is a #.  There
 * is no other quoting, and no line goes on in the next.  A line for readers
 * of another language than English (`lang de') is passed over and counted.
 */
#ifndef SCORE_RULE_TEXT_H
#define SCORE_RULE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct rule_text {
	struct str	 rest;
	unsigned int	 line;
	size_t		 foreign;	/* lines in another language */
	struct buf	 copy;		/* without its comment */
	char		 word[64];
};

struct rule_line {
	unsigned int	 number;
	struct str	 word;		/* lower case, _ for - */
	struct str	 rest;		/* "" if none */
};

void	rule_text_begin(struct rule_text *, struct str text);
/* The line is good until the next call; false: there are no more. */
bool	rule_text_next(struct rule_text *, struct rule_line *);
void	rule_text_end(struct rule_text *);
/* The next word of a line; white space around both is dropped. */
struct str rule_word(struct str *rest);

#endif
