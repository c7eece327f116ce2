/*
 * uuencode - files that stand in a text, as mail had them before MIME.
 *
 * "begin MODE NAME", lines that tell their length, "end" (POSIX uuencode).
 * Mail readers still offer them as attachments.  Linear; any thread.
 */
#ifndef MAIL_UUENCODE_H
#define MAIL_UUENCODE_H

#include <stdbool.h>

#include "base/str.h"

/* The next file of *text, its bytes added to out; *text is left behind it.
 * false: there is none.  The name points into the text. */
bool	uuencode_next(struct str *text, struct str *name, struct buf *out);

#endif
