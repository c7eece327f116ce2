/*
 * capture - what rules found in one message, for the regexes of other rules.
 *
 * A rule with (?<NAME>...) leaves what that group matched; a rule that says
 * %{NAME} matches it, and %{HEADER(From:addr)} a field of the message.  A rule
 * whose name has no value for this message is not asked.
 *
 * One thread, one message: all of it lives in the message's arena.
 */
#ifndef SCORE_CAPTURE_H
#define SCORE_CAPTURE_H

#include "base/arena.h"
#include "base/str.h"
#include "mail/field.h"
#include "score/rule.h"

#define CAPTURE_VALUES	32	/* of all names together */
#define CAPTURE_BYTES	1024	/* of one value */

struct capture_value {
	struct str	 name, value;
};

struct captures {
	struct arena	*arena;
	struct fields	*fields;
	struct capture_value value[CAPTURE_VALUES];
	size_t		 count;
	struct capture_regex *made;	/* rules' own for this message */
};

/* The rule has matched in subject, from start on: keeps its named groups. */
void	capture_take(struct captures *, const struct score_rule *,
	    struct str subject, size_t start);
/* The regex of a rule with templates; NULL: it can't match this subject. */
const struct regex *capture_regex(struct captures *, const struct score_rule *,
	    struct str subject);

#endif
