/*
 * history_zip - a record's text made smaller, and as it was again.
 *
 * The format is zlib's (RFC 1950, with a preset dictionary): one block of the
 * codes that RFC 1951 fixes.  zlib itself makes codes for each text, even
 * where it is told not to use them, which is most of its time for a record of
 * a kilobyte.  The dictionary has the words that nearly every record has: it
 * makes more of the text small than codes of its own would.  What was packed
 * without one is read as well; a dictionary that has rows is never changed.
 *
 * Linear in the text; any thread may call these.
 */
#ifndef SERVICE_HISTORY_ZIP_H
#define SERVICE_HISTORY_ZIP_H

#include "base/str.h"

/* Enough for a text of n bytes, whatever they are. */
#define HISTORY_ZIP_ROOM(n)	((n) + (n) / 8 + 16)

/* How many bytes it became.  out: HISTORY_ZIP_ROOM(s.n). */
size_t	history_zip(struct str s, unsigned char *out);
/* false: it is not a text of n bytes. */
bool	history_unzip(struct str packed, char *out, size_t n);

#endif
