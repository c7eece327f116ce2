/*
 * view_charset - text of any character set as SpamAssassin makes UTF-8 of it.
 *
 * What is valid UTF-8 is UTF-8, whatever it says it is; else what it says,
 * if each byte has a meaning there; else windows-1252.  mail/charset.h has
 * the ways of the rest of postern, which are kinder to damaged text.
 *
 * Linear in the input.  Values only; any thread.
 */
#ifndef MAIL_VIEW_CHARSET_H
#define MAIL_VIEW_CHARSET_H

#include <stdbool.h>

#include "base/str.h"

/*
 * Appends.  declared: p NULL if nothing is.  false: the bytes are ASCII and
 * were taken as bytes, not decoded, so that white space of Unicode is none in
 * them.
 */
bool	view_charset_add(struct buf *, struct str declared, struct str bytes);
/* The same for a word of RFC 2047: what it says is believed, and bytes
 * without meaning become U+FFFD. */
void	view_charset_add_word(struct buf *, struct str declared,
	    struct str bytes);
/* What of Unicode's is not ASCII's. */
size_t	view_charset_wide_space(struct str s);

/* The white space that s begins with in bytes, Unicode's where wide; 0: it
 * begins with none. */
static inline size_t
view_charset_space(struct str s, bool wide)
{
	if (s.n == 0)
		return 0;
	if (!wide || !(s.p[0] & 0x80))
		return chr_white((unsigned char)s.p[0]);
	return view_charset_wide_space(s);
}

#endif
