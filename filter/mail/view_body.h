/*
 * view_body - the lines of body rules and the chunks of rawbody rules.
 *
 * Text parts are rendered and joined, white space is made even, paragraphs
 * are lines of at most VIEW_LINE_MAX bytes.  view.c alone calls this.
 */
#ifndef MAIL_VIEW_BODY_H
#define MAIL_VIEW_BODY_H

#include "mail/view.h"

#define VIEW_BODY_SCAN	  50000	/* characters of one part that body sees */
#define VIEW_RAWBODY_SCAN 500000 /* bytes of one that rawbody sees */

/* Fill body and rawbody from the tree; false: the arena is full. */
bool	view_body_lines(struct arena *, struct view *, const struct headers *);
bool	view_body_chunks(struct arena *, struct view *);

#endif
