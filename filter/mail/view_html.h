/*
 * view_html - the text of an HTML part, as SpamAssassin renders it.
 *
 * One pass over the tokens: text is collected, block tags become line ends,
 * script and style are left out, and what rules ask about the HTML itself is
 * counted (mail/html_facts.h).  Linear; lists that a stranger could make long
 * are capped and `truncated' says so.  Any thread, one part each.
 */
#ifndef MAIL_VIEW_HTML_H
#define MAIL_VIEW_HTML_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/html_facts.h"

#define VIEW_HTML_LINKS	  2000	/* links; as many anchors */
#define VIEW_HTML_STRINGS 500	/* titles, comments, scripts, charsets */
#define VIEW_HTML_TAGS	  500	/* distinct names */
#define VIEW_HTML_URI_MAX 8192	/* bytes of one */

/*
 * Appends the text of UTF-8 html to out.  *wide: whether the source is
 * characters, and whether the text is; where it is not, characters up to
 * U+00FF are single bytes for SpamAssassin.  source_bytes: of the part before
 * it was UTF-8.  NULL: the arena is full.
 */
struct html_facts *view_html_render(struct arena *, struct str html,
		    size_t source_bytes, struct buf *out, bool *wide);

#endif
