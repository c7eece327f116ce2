/*
 * view_part - the MIME tree of a message, as SpamAssassin cuts it.
 *
 * Lines decide, not grammar: a boundary is a line, a part's header ends where
 * a line looks like none, what was never closed ends with its container.
 * Parts, header fields, depth and decoded bytes are capped.  view.c alone
 * calls this; view.h has what others may.
 *
 * Linear in the body times the depth, which is at most VIEW_PART_DEPTH.  Any
 * thread, one message each.
 */
#ifndef MAIL_VIEW_PART_H
#define MAIL_VIEW_PART_H

#include "mail/view.h"

#define VIEW_PART_DEPTH	20	/* of multiparts and messages inside */

/* Fills parts, part_count and the marks; body is v->body_text.  false: the
 * arena is full. */
bool	view_part_tree(struct arena *, struct view *, const struct headers *);

#endif
