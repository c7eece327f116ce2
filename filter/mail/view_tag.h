/*
 * view_tag - the tags of HTML that SpamAssassin knows, and what they do.
 *
 * Values only; any thread.
 */
#ifndef MAIL_VIEW_TAG_H
#define MAIL_VIEW_TAG_H

#include <stdbool.h>

#include "base/str.h"

/* What a tag does to the text. */
enum space { SPACE_NONE, SPACE_BLANK, SPACE_LINE, SPACE_PARAGRAPH };

/* Which attributes of a tag are URIs. */
enum uri_kind {
	URI_NONE,
	URI_BACKGROUND,
	URI_HREF,
	URI_SRC,
	URI_ACTION,
	URI_BASE,
	URI_META
};

#define VIEW_TAG_KNOWN 1 /* an element of HTML 4.01 or XHTML 1.0 */
#define VIEW_TAG_TRICK 2 /* rendered, but no element */

struct tag_def {
	const char *name;
	unsigned char flags, space, uri;
	unsigned char style;	/* enum style_tag */
};

/* By its name in lower case; NULL: not known. */
const struct tag_def *view_tag_find(struct str name);
/* "o:p", "st1:place": what word processors leave behind. */
bool	view_tag_is_namespace(struct str name);

#endif
