/*
 * html - text out of HTML, in one pass, in linear time.
 *
 * A tokenizer, not a browser: tags go, block tags become a line break,
 * entities are decoded, script, style and comments are left out, href and
 * src values are handed to the caller.  Depth, attributes and length can't
 * make it slower than its input is long.  Values only; any thread.
 */
#ifndef MAIL_HTML_H
#define MAIL_HTML_H

#include "base/str.h"

/* Appends the text to out; on_url (may be NULL) sees each link. */
void	html_text(struct str html, struct buf *out,
	    void (*on_url)(void *, struct str), void *arg);

#endif
