/*
 * html_uri - a relative URI made absolute, as SpamAssassin does it.
 *
 * RFC 3986, section 5.2, not strict; what has no scheme and a host that
 * begins with "www." or "ftp." gets one.  Linear.  Values only; any thread.
 */
#ifndef MAIL_HTML_URI_H
#define MAIL_HTML_URI_H

#include <stdbool.h>

#include "base/str.h"

/* Appends; base may be "". */
void	html_uri_resolve(struct buf *, struct str base, struct str uri);
/* Appends what <base href> means for others; false: nothing. */
bool	html_uri_base(struct buf *, struct str href);

#endif
