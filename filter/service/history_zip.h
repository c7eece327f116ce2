/*
 * history_zip - a record's text made smaller, and as it was again.
 *
 * Zstandard's frames (RFC 8878) with a dictionary of the words that nearly
 * every record has, which makes more of a short text small than the text
 * itself does.  A dictionary that has rows is never changed.
 *
 * Linear in the text.  One thread at a time may use a struct history_zip.
 */
#ifndef SERVICE_HISTORY_ZIP_H
#define SERVICE_HISTORY_ZIP_H

#include "base/str.h"

struct history_zip;

struct history_zip *history_zip_new(void);
void	history_zip_free(struct history_zip **);

/* What becomes of s, until the next one; STR_NONE: no memory. */
struct str history_zip_pack(struct history_zip *, struct str s);
/* false: it is not a text of n bytes. */
bool	history_zip_unpack(struct history_zip *, struct str packed, char *out,
	    size_t n);

#endif
