/*
 * part_text - fields of MIME parts, as mimeheader rules look at them.
 *
 * A field is decoded once a message, and a pass of the prefilter over it says
 * which rules could match there.  Of parts behind the first PART_TEXTS, and
 * where room is short, each rule has the field decoded for itself.
 *
 * Inside of score/ only.  One thread, one message; the prefilter's scratch
 * is used.
 */
#ifndef SCORE_PART_TEXT_H
#define SCORE_PART_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "mail/view.h"
#include "score/plan.h"
#include "score/rule.h"

#define PART_TEXTS	16	/* parts whose fields are kept */

struct part_text;

struct part_texts {
	const struct plan *plan;
	struct prefilter_scratch *scratch;
	struct arena	*kept, *passing;
	struct part_text *first;	/* of part 0, then of part 1 */
	bool		 limited;	/* something was too long to decode */
};

void		 part_texts_begin(struct part_texts *, const struct plan *,
		    struct prefilter_scratch *);
void		 part_texts_end(struct part_texts *);
/* What the rule sees in a part, counted from 0: good until the next is asked
 * for.  false: its regex does not match there. */
bool		 part_text(struct part_texts *, const struct score_rule *,
		    const struct view_part *, size_t number, struct str *text);

#endif
