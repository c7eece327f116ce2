/*
 * view_line - lines and characters as Perl's regexes tell them apart.
 *
 * White space is six characters of ASCII, VT and FF with them; a line has its
 * LF.  Values only; any thread.
 */
#ifndef MAIL_VIEW_LINE_H
#define MAIL_VIEW_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

bool		 view_line_is_blank(struct str);	/* nothing but space */
struct str	 view_line_trim(struct str);
/* The first line of *rest, which is what follows then; not of nothing. */
struct str	 view_line_take(struct str *rest);
struct str	 view_line_drop_lf(struct str);		/* the one at its end */
/* The length of the field name that a line begins with, which blanks may
 * follow or not; 0: it begins with none. */
size_t		 view_line_field(struct str line, bool space_allowed);

#endif
