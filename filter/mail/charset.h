/*
 * charset - what a message writes in any character set, as UTF-8.
 *
 * Only character sets that mail really uses are known (a table of families):
 * a stranger must not choose which converter is loaded into the process.
 * Bytes that mean nothing in their character set become U+FFFD.  Where a
 * text says nothing, or something that is not true, valid UTF-8 is
 * taken as it is, anything else as windows-1252: every byte has a
 * meaning there, and it is what most such mail was written in.
 *
 * Linear in the input.  Values only; any thread.
 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

bool		 utf8_valid(struct str);	/* RFC 3629, NUL included */
bool		 charset_known(struct str name);
/* Appends bytes of that character set as UTF-8; false, and nothing appended,
 * where the set is not known. */
bool		 charset_add(struct buf *, struct str name, struct str bytes);
/* Appends valid UTF-8 as it is, anything else as windows-1252. */
void		 charset_add_guess(struct buf *, struct str bytes);
/* The same into an arena; s itself where it is valid already. */
struct str	 charset_guess(struct arena *, struct str s);

#endif
